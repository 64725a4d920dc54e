"""What NumPy's products and linear algebra do with tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from typegrad.operations.linalg import Cholesky, Determinant, Inverse, LogDeterminant, Solve
from typegrad.operations.products import Dot, Einsum, Outer, Tensordot
from typegrad.operations.transposed import times_transposed
from typegrad.tensor.dispatch import implements
from typegrad.tensor.tensor import Tensor, constant, matrix_product, record, value_of


@implements(np.dot)
def _dot(a: Any, b: Any) -> Any:
    axes = np.ndim(value_of(a)), np.ndim(value_of(b))
    if 0 in axes:
        return a * b
    return matrix_product(a, b) if max(axes) <= 2 else record(Dot(), (a, b))


@implements(times_transposed)
def _times_transposed(x: Any, weight: Any) -> Any:
    return matrix_product(x, np.swapaxes(weight, 0, 1))


@implements(np.vdot)
def _vdot(a: Any, b: Any) -> Tensor:
    return matrix_product(np.ravel(a), np.ravel(b))


@implements(np.inner)
def _inner(a: Any, b: Any) -> Any:
    axes = np.ndim(value_of(a)), np.ndim(value_of(b))
    if 0 in axes:
        return a * b
    return record(Tensordot(((axes[0] - 1,), (axes[1] - 1,))), (a, b))


@implements(np.outer)
def _outer(a: Any, b: Any) -> Tensor:
    return record(Outer(), (a, b))


@implements(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    if not isinstance(axes, int):
        left, right = axes
        axes = (_axes(left), _axes(right))
    return record(Tensordot(axes), (a, b))


def _axes(given: Any) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else tuple(given)


@implements(np.einsum)
def _einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Tensor:
    if not isinstance(subscripts, str):
        raise TypeError(
            "np.einsum on tensors: the first argument is not a string; "
            "write the subscripts as in np.einsum('ij,jk->ik', a, b)"
        )
    return record(Einsum(subscripts), operands)


@implements(np.linalg.inv)
def _inv(a: Tensor) -> Tensor:
    return record(Inverse(), (a,))


@implements(np.linalg.solve)
def _solve(a: Any, b: Any) -> Tensor:
    return record(Solve(), (a, b))


@implements(np.linalg.det)
def _det(a: Tensor) -> Tensor:
    return record(Determinant(), (a,))


class SlogdetResult(NamedTuple):
    """Sign of a determinant, and logarithm of its size."""

    sign: Tensor
    logabsdet: Tensor


@implements(np.linalg.slogdet)
def _slogdet(a: Tensor) -> SlogdetResult:
    sign = np.linalg.slogdet(a._data)[0]
    return SlogdetResult(constant(sign), record(LogDeterminant(), (a,)))


@implements(np.linalg.cholesky)
def _cholesky(a: Tensor) -> Tensor:
    return record(Cholesky(), (a,))

"""Linear algebra on matrices (..., n, n), with batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from typegrad.errors import NumericalError, ShapeError
from typegrad.operations.base import (
    BinaryOperation,
    ElementwiseOperation,
    Operation,
    UnaryOperation,
)
from typegrad.operations.linear import broadcast_batches
from typegrad.types import Array, Shape

# The derivatives are those of M. B. Giles, "Collected matrix derivative results for forward
# and reverse mode algorithmic differentiation", 2008.


class Inverse(ElementwiseOperation):
    """Inverse of square matrices (..., n, n);  dL/dx = -y^T dL/dy y^T.

    Raises
    ------
    NumericalError
        If a matrix is singular.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return square(self, "the input", input_shapes[0])

    def output(self, x: Array) -> Array:
        return _run(self, "a matrix is singular", lambda: np.linalg.inv(x))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        transposed = np.swapaxes(y, -1, -2)
        return -(transposed @ output_grad @ transposed)


class Solve(BinaryOperation):
    """Solution y of left @ y = right.

    left: (..., n, n); right: (..., n, m), or (n,) for one vector. Leading axes are batches
    and are broadcast. dL/dright solves left^T @ g = dL/dy;  dL/dleft = -g y^T.

    Raises
    ------
    NumericalError
        If a matrix is singular.
    """

    broadcasts: ClassVar[bool] = True

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """(..., n, m), or (..., n) for one vector."""
        left, right = input_shapes
        square(self, "left", left)
        matrix = right if len(right) > 1 else (*right, 1)
        if not right or matrix[-2] != left[-1]:
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; expected right of "
                f"shape (..., {left[-1]}, m) or ({left[-1]},)"
            )
        batch = broadcast_batches(self, left, matrix)
        return (*batch, *(matrix[-2:] if len(right) > 1 else right))

    def output(self, left: Array, right: Array) -> Array:
        columns = _columns(right)
        # As many axes as left has, so that old versions of NumPy see no vectors in it.
        added = (1,) * max(left.ndim - columns.ndim, 0)
        padded = np.reshape(columns, (*added, *columns.shape))
        solution = _run(self, "a matrix is singular", lambda: np.linalg.solve(left, padded))
        return solution if len(right.shape) > 1 else solution[..., 0]

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        is_vector = len(right.shape) == 1
        adjoint = self._adjoint(output_grad, left, is_vector)
        solution = y[..., None] if is_vector else y
        return -(adjoint @ np.swapaxes(solution, -1, -2))

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        is_vector = len(right.shape) == 1
        adjoint = self._adjoint(output_grad, left, is_vector)
        return adjoint[..., 0] if is_vector else adjoint

    def _adjoint(self, output_grad: Array, left: Array, is_vector: bool) -> Array:
        grad = output_grad[..., None] if is_vector else output_grad
        return Solve().forward(np.swapaxes(left, -1, -2), grad)


class Determinant(UnaryOperation):
    """Determinant of square matrices (..., n, n);  dL/dx = dL/dy * cofactors of x.

    The gradient of singular matrices is right too, as in JAX; PyTorch gives zeros.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return square(self, "the input", input_shapes[0])[:-2]

    def output(self, x: Array) -> Array:
        determinant: Array = np.linalg.det(x)
        return determinant

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad[..., None, None] * Cofactors().forward(x)


class Cofactors(ElementwiseOperation):
    """Matrices of cofactors of (..., n, n): the gradient of the determinant.

    For a regular matrix det(x) x^-T. Computed from singular values, without a division,
    so that it is right for singular matrices too; its own gradient is not, and raises
    `NumericalError` for them.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return square(self, "the input", input_shapes[0])

    def output(self, x: Array) -> Array:
        u, values, vt = np.linalg.svd(x)
        ones = np.ones((*values.shape[:-1], 1), x.dtype)
        before = np.cumprod(np.concatenate([ones, values[..., :-1]], axis=-1), axis=-1)
        after = np.cumprod(np.concatenate([ones, values[..., :0:-1]], axis=-1), axis=-1)
        others = before * after[..., ::-1]
        orientation: Array = np.linalg.det(u) * np.linalg.det(vt)
        cofactors: Array = (u * (others * orientation[..., None])[..., None, :]) @ vt
        return cofactors

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        # From dC = C tr(x^-1 dx) - x^-T dx^T C, for C = det(x) x^-T.
        inverse = np.swapaxes(Inverse().forward(x), -1, -2)
        along: Array = np.sum(output_grad * y, axis=(-2, -1), keepdims=True)
        return along * inverse - y @ np.swapaxes(output_grad, -1, -2) @ inverse


class LogDeterminant(UnaryOperation):
    """log|det x| of square matrices (..., n, n);  dL/dx = dL/dy * x^-T.

    The second result of NumPy's ``slogdet``; the first, the sign, has no derivative.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return square(self, "the input", input_shapes[0])[:-2]

    def output(self, x: Array) -> Array:
        logarithm: Array = np.linalg.slogdet(x)[1]
        return logarithm

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad[..., None, None] * np.swapaxes(Inverse().forward(x), -1, -2)


class Cholesky(ElementwiseOperation):
    """Lower triangle y with y @ y^T = x, for symmetric positive definite x (..., n, n).

    Only the lower triangle of x is read. The gradient is that of a function of symmetric
    matrices, and is symmetric itself, as in PyTorch and JAX.

    Raises
    ------
    NumericalError
        If a matrix is not positive definite.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return square(self, "the input", input_shapes[0])

    def output(self, x: Array) -> Array:
        return _run(self, "a matrix is not positive definite", lambda: np.linalg.cholesky(x))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        # With P the lower triangle of y^T g, its diagonal halved, and S = y^-T P y^-1, the
        # gradient is (S + S^T) / 2.
        transposed = np.swapaxes(y, -1, -2)
        product = transposed @ output_grad
        inner = 0.5 * (np.tril(product) + np.tril(product, -1))
        half_solved = Solve().forward(transposed, inner)
        solved = Solve().forward(transposed, np.swapaxes(half_solved, -1, -2))
        return 0.5 * (solved + np.swapaxes(solved, -1, -2))


def square(operation: Operation, operand: str, shape: Shape) -> Shape:
    """Return the shape if it is of square matrices, else raise `ShapeError`."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(
            f"{operation}: {operand} has shape {shape}; expected square matrices (..., n, n)"
        )
    return shape


def _columns(right: Array) -> Array:
    """Right-hand sides as columns."""
    return right if len(right.shape) > 1 else np.reshape(right, (-1, 1))


def _run(operation: Operation, problem: str, compute: Callable[[], Array]) -> Array:
    """Compute, and name the operation where the matrix does not allow it."""
    try:
        return compute()
    except np.linalg.LinAlgError as error:
        raise NumericalError(f"{operation}: {problem}") from error

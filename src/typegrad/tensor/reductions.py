"""What NumPy's reductions and running sums do with tensors."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from typegrad.operations.base import Operation
from typegrad.operations.extrema import Max, Min
from typegrad.operations.reductions import Axis, Mean, Sum
from typegrad.operations.scan import Cumprod, Cumsum, Prod
from typegrad.operations.statistics import Norm, Std, Var
from typegrad.tensor.dispatch import HANDLERS, implements
from typegrad.tensor.tensor import Tensor, record, value_of


@lru_cache(maxsize=1024)
def _option(operation: Any, *options: Any) -> Operation:
    """Make an operation, or reuse one made with the same options: they do not change."""
    made: Operation = operation(*options)
    return made


@implements(np.sum)
def _sum(a: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    return record(_option(Sum, axis, keepdims), (a,))


@implements(np.mean)
def _mean(a: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    return record(_option(Mean, axis, keepdims), (a,))


@implements(np.prod)
def _prod(a: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    return record(_option(Prod, axis, keepdims), (a,))


@implements(np.max, np.amax)
def _max(a: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    return record(_option(Max, axis, keepdims), (a,))


@implements(np.min, np.amin)
def _min(a: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    return record(_option(Min, axis, keepdims), (a,))


@implements(np.ptp)
def _ptp(a: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    return _max(a, axis, keepdims=keepdims) - _min(a, axis, keepdims=keepdims)


@implements(np.var)
def _var(a: Tensor, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Tensor:
    return record(_option(Var, axis, keepdims, ddof), (a,))


@implements(np.std)
def _std(a: Tensor, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Tensor:
    return record(_option(Std, axis, keepdims, ddof), (a,))


@implements(np.cumsum)
def _cumsum(a: Tensor, axis: int | None = None) -> Tensor:
    return record(_option(Cumsum, 0 if axis is None else axis), (_row(a, axis),))


@implements(np.cumprod)
def _cumprod(a: Tensor, axis: int | None = None) -> Tensor:
    return record(_option(Cumprod, 0 if axis is None else axis), (_row(a, axis),))


@implements(np.linalg.norm)
def _norm(x: Tensor, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    of_matrices = x.ndim == 2 if axis is None else isinstance(axis, tuple) and len(axis) == 2
    if ord is not None and (of_matrices or (axis is None and x.ndim > 2)):
        if ord != "fro":
            raise TypeError(
                f"np.linalg.norm on tensors: the matrix norm ord={ord!r} has no derivative here; "
                "use ord='fro' or None, or a vector norm over one axis"
            )
        ord = None
    return record(_option(Norm, axis, keepdims, 2 if ord is None else ord), (x,))


def _row(a: Tensor, axis: int | None) -> Tensor:
    return a.ravel() if axis is None else a


def _on_values(function: Any) -> Any:
    def apply(a: Any, *args: Any, **kwargs: Any) -> Any:
        return function(value_of(a), *map(value_of, args), **kwargs)

    return apply


HANDLERS.update(
    {
        function: _on_values(function)
        for function in (
            np.argmax,
            np.argmin,
            np.argsort,
            np.argwhere,
            np.nonzero,
            np.flatnonzero,
            np.count_nonzero,
            np.searchsorted,
            np.all,
            np.any,
            np.array_equal,
            np.allclose,
            np.isclose,
            np.shape,
            np.ndim,
            np.size,
            np.result_type,
            np.iscomplexobj,
            np.isrealobj,
            np.may_share_memory,
            np.shares_memory,
        )
    }
)
# Their results are whole numbers and booleans, which have no derivative: plain arrays.

"""NumPy's functions that are not ufuncs, in terms of primitives that can write into memory.

Where NumPy has the function in Python on top of ufuncs (mean, variance), the same ufuncs are
called in the same order, so that results are the same to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from typegrad.tracing import primitives
from typegrad.tracing.errors import TraceError
from typegrad.tracing.primitives import Ufunc

Handler: TypeAlias = Callable[..., Any]
"""Called as ``handler(recorder, *arguments of the NumPy function)``."""


def _reduction(ufunc: np.ufunc) -> Handler:
    def reduce(recorder: Any, a: Any, axis: Any = None, **keywords: Any) -> Any:
        out = keywords.pop("out", None)
        if out is not None:
            keywords["out"] = (out,)
        return recorder.ufunc(ufunc, "reduce", (a,), {"axis": axis, **keywords})

    return reduce


def _where(recorder: Any, condition: Any, *choices: Any) -> Any:
    if len(choices) != 2:
        raise TraceError("np.where without choices gives arrays of unknown length")
    return recorder.call(primitives.where, condition, *choices)


def _mean(recorder: Any, a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    total = recorder.ufunc(np.add, "reduce", (a,), {"axis": axis, "keepdims": keepdims})
    return total / _count(a, axis)


def _var(recorder: Any, a: Any, axis: Any = None, *, ddof: Any = 0, keepdims: Any = False) -> Any:
    count = _count(a, axis)
    total = recorder.ufunc(np.add, "reduce", (a,), {"axis": axis, "keepdims": True})
    deviation = np.square(a - total / count)
    squares = recorder.ufunc(np.add, "reduce", (deviation,), {"axis": axis, "keepdims": keepdims})
    return squares / max(count - ddof, 0)


def _std(recorder: Any, a: Any, axis: Any = None, **keywords: Any) -> Any:
    return np.sqrt(_var(recorder, a, axis, **keywords))


def _count(a: Any, axis: Any) -> int:
    """Return how many elements are averaged."""
    if a.dtype not in (np.float32, np.float64):
        raise TraceError(f"the mean of {a.dtype} cannot be planned")
    if axis is None:
        return int(math.prod(a.shape))
    axes: tuple[int, ...] = axis if isinstance(axis, tuple) else (axis,)
    count: int = math.prod(a.shape[each] for each in axes)
    if count > 2**24:
        # NumPy divides in float64; up to here the result is the same in float32.
        raise TraceError(f"the mean of {count} elements cannot be planned")
    return count


def _full_like(
    recorder: Any, a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None
) -> Any:
    if not isinstance(fill_value, int | float):
        raise TraceError("np.full_like with an array cannot be planned")
    lengths = a.shape if shape is None else tuple(shape)
    return recorder.call(primitives.fill, lengths, fill_value, np.dtype(dtype or a.dtype))


def _zeros_like(recorder: Any, a: Any, dtype: Any = None, **keywords: Any) -> Any:
    return _full_like(recorder, a, 0, dtype, **keywords)


def _ones_like(recorder: Any, a: Any, dtype: Any = None, **keywords: Any) -> Any:
    return _full_like(recorder, a, 1, dtype, **keywords)


def _copyto(recorder: Any, dst: Any, src: Any) -> None:
    dst[...] = src


def _cumulative(ufunc: np.ufunc) -> Handler:
    def accumulate(recorder: Any, a: Any, axis: Any) -> Any:
        return recorder.call(Ufunc(ufunc, "accumulate"), a, axis)

    return accumulate


def _dot(recorder: Any, a: Any, b: Any) -> Any:
    if np.ndim(a) == 2 and np.ndim(b) == 2:
        return a @ b
    return recorder.call(np.dot, a, b)


HANDLERS: dict[Any, Handler] = {
    np.sum: _reduction(np.add),
    np.prod: _reduction(np.multiply),
    np.max: _reduction(np.maximum),
    np.amax: _reduction(np.maximum),
    np.min: _reduction(np.minimum),
    np.amin: _reduction(np.minimum),
    np.any: _reduction(np.logical_or),
    np.all: _reduction(np.logical_and),
    np.mean: _mean,
    np.var: _var,
    np.std: _std,
    np.where: _where,
    np.full_like: _full_like,
    np.zeros_like: _zeros_like,
    np.ones_like: _ones_like,
    np.copyto: _copyto,
    np.cumsum: _cumulative(np.add),
    np.cumprod: _cumulative(np.multiply),
}
"""Functions with a way of their own; all others are called as they are."""

METADATA = frozenset({np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj})
"""Functions of shape and dtype alone: answered at once."""

IN_PLACE = frozenset({np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis})
"""Functions that change an argument."""

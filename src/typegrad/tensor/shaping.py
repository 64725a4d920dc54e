"""What NumPy's functions of shape, order and place do with tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from typegrad.operations.diagonal import Diagonal, DiagonalMatrix, Trace, Tril, Triu
from typegrad.operations.extrema import Sort
from typegrad.operations.indexing import Take, TakeAlongAxis
from typegrad.operations.joining import Concatenate, Pad, Repeat, Stack, Tile
from typegrad.operations.reductions import Axis
from typegrad.operations.selection import Clip, Where
from typegrad.operations.shape import (
    BroadcastTo,
    ExpandDims,
    Flip,
    Reshape,
    Roll,
    Squeeze,
    Swapaxes,
    Transpose,
)
from typegrad.tensor.constants import as_tensor_data
from typegrad.tensor.dispatch import implements
from typegrad.tensor.tensor import Tensor, constant, record, value_of
from typegrad.types import AnyArray, Shape


def _as_tuple(lengths: Any) -> Any:
    """Tuple of integers for a list of them; a number as it is."""
    return tuple(lengths) if isinstance(lengths, list) else lengths


@implements(np.reshape)
def _reshape(a: Tensor, shape: int | Shape, order: str = "C") -> Tensor:
    if order != "C":
        raise TypeError(f"np.reshape on tensors: order is {order!r}; expected 'C'")
    return record(Reshape((shape,) if isinstance(shape, int) else tuple(shape)), (a,))


@implements(np.ravel)
def _ravel(a: Tensor) -> Tensor:
    return record(Reshape((-1,)) if a.size else Reshape((0,)), (a,))


@implements(np.transpose, getattr(np, "permute_dims", np.transpose))
def _transpose(a: Tensor, axes: Any = None) -> Tensor:
    return record(Transpose(_as_tuple(axes)), (a,))


@implements(np.swapaxes)
def _swapaxes(a: Tensor, axis1: int, axis2: int) -> Tensor:
    return record(Swapaxes(axis1, axis2), (a,))


@implements(np.moveaxis)
def _moveaxis(a: Tensor, source: Any, destination: Any) -> Tensor:
    # An array whose lengths are the numbers of its axes shows where NumPy moves each.
    order = np.moveaxis(np.empty(tuple(range(a.ndim))), source, destination).shape
    return record(Transpose(order), (a,))


@implements(np.broadcast_to)
def _broadcast_to(array: Tensor, shape: int | Shape) -> Tensor:
    return record(BroadcastTo((shape,) if isinstance(shape, int) else tuple(shape)), (array,))


@implements(np.broadcast_arrays)
def _broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*[np.shape(value_of(x)) for x in args])
    return tuple(np.broadcast_to(x, shape) for x in args)


@implements(np.expand_dims)
def _expand_dims(a: Tensor, axis: Any) -> Tensor:
    return record(ExpandDims(_as_tuple(axis)), (a,))


@implements(np.squeeze)
def _squeeze(a: Tensor, axis: Axis = None) -> Tensor:
    return record(Squeeze(axis), (a,))


@implements(np.atleast_1d)
def _atleast_1d(*arys: Tensor) -> Any:
    return _one_or_all([x if np.ndim(x) >= 1 else np.reshape(x, (1,)) for x in arys])


@implements(np.atleast_2d)
def _atleast_2d(*arys: Tensor) -> Any:
    return _one_or_all([x if np.ndim(x) >= 2 else np.reshape(x, (1, -1)) for x in arys])


def _one_or_all(arrays: list[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


@implements(np.concatenate, getattr(np, "concat", np.concatenate))
def _concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Tensor:
    if axis is None:
        return record(Concatenate(0), tuple(np.ravel(x) for x in arrays))
    return record(Concatenate(axis), tuple(arrays))


@implements(np.stack)
def _stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    return record(Stack(axis), tuple(arrays))


@implements(np.vstack)
def _vstack(tup: Sequence[Any]) -> Tensor:
    return _concatenate([np.atleast_2d(x) for x in tup])


@implements(np.hstack)
def _hstack(tup: Sequence[Any]) -> Tensor:
    rows = [np.atleast_1d(x) for x in tup]
    return _concatenate(rows, 0 if rows[0].ndim == 1 else 1)


@implements(np.column_stack)
def _column_stack(tup: Sequence[Any]) -> Tensor:
    return _concatenate([np.reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in tup], 1)


@implements(np.split)
def _split(ary: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    places = np.split(np.arange(ary.shape[axis]), indices_or_sections)
    return _parts(ary, places, axis)


@implements(np.array_split)
def _array_split(ary: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    places = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    return _parts(ary, places, axis)


def _parts(ary: Tensor, places: Sequence[AnyArray], axis: int) -> list[Tensor]:
    before = (slice(None),) * (axis % ary.ndim)
    starts = np.cumsum([0, *map(len, places)]).tolist()
    return [
        ary[(*before, slice(start, start + len(p)))]
        for start, p in zip(starts, places, strict=False)
    ]


@implements(np.pad)
def _pad(
    array: Tensor, pad_width: Any, mode: str = "constant", constant_values: float = 0
) -> Tensor:
    if mode != "constant":
        raise TypeError(f"np.pad on tensors: mode is {mode!r}; expected 'constant'")
    widths = np.asarray(pad_width).tolist()
    if isinstance(widths, list):
        widths = tuple(tuple(pair) if isinstance(pair, list) else pair for pair in widths)
    return record(Pad(widths, constant_values), (array,))


@implements(np.flip)
def _flip(m: Tensor, axis: Axis = None) -> Tensor:
    return record(Flip(axis), (m,))


@implements(np.flipud)
def _flipud(m: Tensor) -> Tensor:
    return record(Flip(0), (m,))


@implements(np.fliplr)
def _fliplr(m: Tensor) -> Tensor:
    return record(Flip(1), (m,))


@implements(np.roll)
def _roll(a: Tensor, shift: Any, axis: Any = None) -> Tensor:
    return record(Roll(_as_tuple(shift), _as_tuple(axis)), (a,))


@implements(np.repeat)
def _repeat(a: Tensor, repeats: Any, axis: int | None = None) -> Tensor:
    times = np.asarray(repeats).tolist()
    return record(Repeat(tuple(times) if isinstance(times, list) else times, axis), (a,))


@implements(np.tile)
def _tile(A: Tensor, reps: Any) -> Tensor:  # noqa: N803  # NumPy's name
    return record(Tile(_as_tuple(reps)), (A,))


@implements(np.take)
def _take(a: Tensor, indices: Any, axis: int | None = None) -> Tensor:
    return record(Take(np.asarray(value_of(indices)), axis), (a,))


@implements(np.take_along_axis)
def _take_along_axis(arr: Tensor, indices: Any, axis: int) -> Tensor:
    return record(TakeAlongAxis(np.asarray(value_of(indices)), axis), (arr,))


@implements(np.sort)
def _sort(a: Tensor, axis: int | None = -1) -> Tensor:
    return record(Sort(0), (_ravel(a),)) if axis is None else record(Sort(axis), (a,))


@implements(np.where)
def _where(condition: Any, x: Any, y: Any) -> Tensor:
    return record(Where(np.asarray(value_of(condition)).astype(bool, copy=False)), (x, y))


@implements(np.diff)
def _diff(a: Tensor, n: int = 1, axis: int = -1) -> Tensor:
    before = (slice(None),) * (axis % a.ndim)
    for _ in range(n):
        a = a[(*before, slice(1, None))] - a[(*before, slice(None, -1))]
    return a


@implements(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if type(a) is Tensor and isinstance(low, _BOUND) and isinstance(high, _BOUND):
        return record(Clip(low, high), (a,))
    above = a if low is None else np.maximum(a, low)
    return above if high is None else np.minimum(above, high)


_BOUND = (float, int, type(None))


@implements(np.diag)
def _diag(v: Tensor, k: int = 0) -> Tensor:
    return record(DiagonalMatrix(k) if v.ndim == 1 else Diagonal(k), (v,))


@implements(np.diagonal)
def _diagonal(a: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return record(Diagonal(offset, axis1, axis2), (a,))


@implements(np.trace)
def _trace(a: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return record(Trace(offset, axis1, axis2), (a,))


@implements(np.tril)
def _tril(m: Tensor, k: int = 0) -> Tensor:
    return record(Tril(k), (m,))


@implements(np.triu)
def _triu(m: Tensor, k: int = 0) -> Tensor:
    return record(Triu(k), (m,))


@implements(np.copy)
def _copy(a: Tensor) -> Tensor:
    return a


@implements(np.zeros_like)
def _zeros_like(a: Tensor, dtype: Any = None) -> Tensor:
    return constant(np.zeros_like(a._data, dtype))


@implements(np.ones_like)
def _ones_like(a: Tensor, dtype: Any = None) -> Tensor:
    return constant(np.ones_like(a._data, dtype))


@implements(np.full_like)
def _full_like(a: Tensor, fill_value: Any, dtype: Any = None) -> Tensor:
    return constant(as_tensor_data(np.full_like(a._data, fill_value, dtype)))

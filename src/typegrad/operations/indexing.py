"""Parts of an array, and the sum of parts back into an array."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np

from typegrad.errors import DTypeError, ShapeError
from typegrad.operations.base import UnaryOperation
from typegrad.operations.shape import axis_from_start
from typegrad.types import AnyArray, Array, IntArray, Shape

KeyItem: TypeAlias = "int | slice | EllipsisType | AnyArray | list[Any] | np.integer[Any] | None"
Key: TypeAlias = "KeyItem | tuple[KeyItem, ...]"
"""What NumPy takes in brackets: numbers, slices, None, Ellipsis, integer or boolean arrays."""


@dataclass(frozen=True, eq=False, repr=False)
class Index(UnaryOperation):
    """Part of an array: y = x[key], with a key as NumPy takes it.

    An element that is taken several times gets the sum of its gradients.

    Parameters
    ----------
    key
        Numbers, slices, None, Ellipsis, lists and arrays of integers or booleans, or a tuple
        of them. Arrays are copied.

    Raises
    ------
    IndexError
        By ``forward``, from NumPy, if the key does not fit the input.
    """

    key: Key

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _own_key(self.key))

    def output(self, x: Array) -> Array:
        part: Array = x[self.key]
        return part

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return ScatterAdd(self.key, x.shape).forward(output_grad)

    def __repr__(self) -> str:
        return f"Index({_key_text(self.key)})"


@dataclass(frozen=True, eq=False, repr=False)
class ScatterAdd(UnaryOperation):
    """An array of zeros, with x added to the part that `key` names; the gradient of `Index`.

    The input has the shape of that part. Where the key names an element several times, all
    that belongs to it is added up. dL/dx = dL/dy[key].

    Parameters
    ----------
    key
        As for `Index`.
    shape
        Shape of the output.
    """

    key: Key
    shape: Shape

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _own_key(self.key))

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Return `shape`; the input must have that of the part."""
        if _is_recorded(self.key):
            return self.shape  # its values, which the part's shape may depend on, are not known
        part = np.broadcast_to(np.False_, self.shape)[self.key].shape
        if input_shapes[0] != part:
            raise ShapeError(
                f"{self}: the input has shape {input_shapes[0]}; "
                f"expected {part}, that of the part of the output"
            )
        return self.shape

    def output(self, x: Array) -> Array:
        total: Array = np.zeros_like(x, shape=self.shape)
        if _may_repeat(self.key):
            key: Any = self.key  # NumPy's stubs take fewer kinds of keys than NumPy does
            np.add.at(total, key, x)
        else:
            total[self.key] = x
        return total

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return Index(self.key).forward(output_grad)

    def __repr__(self) -> str:
        return f"ScatterAdd({_key_text(self.key)}, shape={self.shape})"


@dataclass(frozen=True, eq=False, repr=False)
class Take(UnaryOperation):
    """Elements along an axis, by number: NumPy's ``take``.

    Parameters
    ----------
    indices
        Integers, in an array of any shape; negative ones count from the end.
    axis
        Axis to take from; None for one row of all elements.
    """

    indices: IntArray
    axis: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", _own_indices(self, self.indices))

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        if self.axis is None:
            return tuple(self.indices.shape)
        axis = axis_from_start(self, self.axis, len(shape))
        return (*shape[:axis], *self.indices.shape, *shape[axis + 1 :])

    def output(self, x: Array) -> Array:
        return np.take(x, self.indices, axis=self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        if self.axis is None:
            return np.reshape(ScatterAdd(self.indices, (x.size,)).forward(output_grad), x.shape)
        key = (slice(None),) * (self.axis % len(x.shape)) + (self.indices,)
        return ScatterAdd(key, x.shape).forward(output_grad)

    def __repr__(self) -> str:
        return f"Take(indices of shape {self.indices.shape}, axis={self.axis})"


@dataclass(frozen=True, eq=False, repr=False)
class TakeAlongAxis(UnaryOperation):
    """Elements along an axis, with numbers for each row of it: NumPy's ``take_along_axis``.

    Parameters
    ----------
    indices
        Integers, in an array with as many axes as the input, whose lengths along all but
        `axis` are the input's or 1.
    axis
        Axis to take from.
    """

    indices: IntArray
    axis: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", _own_indices(self, self.indices))

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        axis = axis_from_start(self, self.axis, len(shape))
        lengths = self.indices.shape
        if len(lengths) != len(shape) or any(
            length not in (1, shape[place]) for place, length in enumerate(lengths) if place != axis
        ):
            raise ShapeError(
                f"{self}: the input has shape {shape}; expected indices with as many axes, "
                f"and its lengths or 1 on all but axis {axis}"
            )
        return (*shape[:axis], lengths[axis], *shape[axis + 1 :])

    def output(self, x: Array) -> Array:
        return np.take_along_axis(x, self.indices, axis=self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        places = np.ogrid[tuple(slice(length) for length in x.shape)]
        axis = self.axis % len(x.shape)
        key = (*places[:axis], self.indices, *places[axis + 1 :])
        return ScatterAdd(key, x.shape).forward(output_grad)

    def __repr__(self) -> str:
        return f"TakeAlongAxis(indices of shape {self.indices.shape}, axis={self.axis})"


def _own_key(key: Key) -> Key:
    """Key whose arrays nobody else can change."""
    if isinstance(key, tuple):
        return tuple(map(_own_item, key))
    return _own_item(key)


def _own_item(item: KeyItem) -> KeyItem:
    if isinstance(item, list) and not item:
        return np.zeros(0, np.intp)  # an empty list would become an array of floats
    return np.array(item) if isinstance(item, np.ndarray | list) else item


def _own_indices(operation: Take | TakeAlongAxis, indices: IntArray) -> IntArray:
    """Copy of the indices, which must be integers."""
    copy = np.array(indices)
    if copy.dtype.kind not in "iu":
        raise DTypeError(
            f"{type(operation).__name__}: the indices have dtype {copy.dtype}; expected integers"
        )
    return copy


def _may_repeat(key: Key) -> bool:
    """Whether the key can name an element twice: only arrays of integers can."""
    items = key if isinstance(key, tuple) else (key,)
    return any(getattr(item, "dtype", np.bool_) != np.bool_ for item in items)


def _is_recorded(key: Key) -> bool:
    """Whether the key has an array that records what is done to it, in place of values."""
    items = key if isinstance(key, tuple) else (key,)
    return any(hasattr(type(item), "__apply_operation__") for item in items)


def _key_text(key: Key) -> str:
    """Key for messages, arrays by dtype and shape."""
    items = key if isinstance(key, tuple) else (key,)
    return "[" + ", ".join(map(_item_text, items)) + "]"


def _item_text(item: KeyItem) -> str:
    if isinstance(item, np.ndarray):
        return f"{item.dtype} array of shape {item.shape}"
    if isinstance(item, slice):
        ends = ["" if end is None else str(end) for end in (item.start, item.stop)]
        return ":".join(ends if item.step is None else [*ends, str(item.step)])
    return "..." if item is Ellipsis else str(item)

"""Where things lie in native memory: parameters in padded rows, a tile's arrays, sums."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from typegrad.aligned import ALIGNMENT, aligned_zeros
from typegrad.types import Array, Shape, Vector

PAGE = 4096

APART = 25 * ALIGNMENT
"""Bytes between two arrays of a tile, or two flat vectors, beside whole pages.

Processors first tell memory apart by the lowest 12 bits of addresses. So a read has to wait for a
write just before it, if a multiple of 4096 bytes lies between them ("4K aliasing"): were arrays of
whole pages a cache line apart, all formulas that go from one to the next would wait. Small
multiples of this distance, about 4096 times 1 - 1 / golden ratio, are as far from those of 4096 as
can be.
"""

LARGEST_BLOCK = 4096
"""Floats of flat vectors that one thread works on at a time."""

VECTORS_AT_ONCE = 4
"""Vectors that sums over a block take at a time."""


def address_of(array: Any) -> int:
    """Return where a contiguous array lies; takes a fifth of the time of NumPy's `ctypes.data`."""
    if array.size and array.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    address: int = array.ctypes.data
    return address


KEPT_BYTES = 2**18
"""Largest array that is kept from one call to the next: longer calls do not notice a new one."""


class KeptArray:
    """Memory for what each call needs anew: short calls of the same size take the same.

    Attributes
    ----------
    array
        What was asked for last.
    address
        Where it lies.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.array: Any = np.empty(0, dtype)
        self.address: int = 0

    def of_shape(self, *shape: int) -> Any:
        """Return an array of a shape; what is in it is left over."""
        if self.array.shape != shape:
            self.array = np.empty(shape, self.array.dtype)
            self.address = address_of(self.array)
        return self.array

    def take(self, count: int) -> Any:
        """Return the first numbers, for good: a copy, or what is too large to be kept."""
        array = self.array
        self.drop_large()
        return array[:count].copy() if array is self.array else array[:count]

    def drop_large(self) -> None:
        """Forget an array that is too large to be kept."""
        if self.array.nbytes > KEPT_BYTES:
            self.array = np.empty(0, self.array.dtype)


@dataclass(frozen=True)
class Segment:
    """Where one parameter lies: in the network's flat buffer, and with padded rows.

    A matrix of one column, a vector, and what has no elements, are one row.
    """

    start: int
    padded_start: int
    rows: int
    width: int
    stride: int

    @property
    def is_row(self) -> bool:
        """Whether it is one row."""
        return self.rows == 1

    @property
    def floats(self) -> int:
        """Floats that it takes in padded memory."""
        return self.rows * self.stride

    def some_rows(self, first: int, rows: int) -> Segment:
        """Return the segment of some of its rows."""
        start, padded_start = first * self.width, first * self.stride
        return Segment(
            self.start + start, self.padded_start + padded_start, rows, self.width, self.stride
        )

    def joined(self, following: Segment) -> Segment | None:
        """Return both as one row, if they are side by side in both places."""
        is_whole = self.is_row and self.width == self.stride
        if not (is_whole and (following.is_row or following.width == following.stride)):
            return None
        width = self.width + following.rows * following.width
        stride = self.stride + following.floats
        return Segment(self.start, self.padded_start, 1, width, stride)

    @property
    def in_flat(self) -> slice:
        """Where its numbers are in a flat vector."""
        return slice(self.start, self.start + self.rows * self.width)

    def in_padded(self, memory: Array) -> Array:
        """Return the view of its numbers in padded memory."""
        rows: Array = memory[self.padded_start : self.padded_start + self.floats]
        if self.is_row:
            return rows[: self.width]
        by_row: Array = rows.reshape(self.rows, self.stride)
        return by_row[:, : self.width]


class PaddedParameters:
    """The layout of all parameters with rows padded to whole vectors.

    Attributes
    ----------
    segments, parts
        Where each parameter lies; the same in as few segments as will do.
    blocks, block
        Flat vectors are worked on in so many blocks of so many floats: a number that depends
        on the network alone, so that sums over blocks do not depend on threads.
    loss_start
        Where gradients have the loss: after the last block.
    size
        Floats of a flat vector, the loss included.
    """

    def __init__(self, shapes: Sequence[Shape], lanes: int) -> None:
        self.segments: list[Segment] = []
        start = padded_start = 0
        for shape in shapes:
            size = int(np.prod(shape))
            is_row = len(shape) < 2 or shape[-1] == 1 or not size
            width = size if is_row else shape[-1]
            rows = 1 if is_row else size // width
            stride = padded(width, lanes)
            self.segments.append(Segment(start, padded_start, rows, width, stride))
            start += size
            padded_start += rows * stride
        self.parts: list[Segment] = _joined(self.segments)
        self.blocks: int = max(1, -(-padded_start // LARGEST_BLOCK))
        self.block: int = padded(-(-padded_start // self.blocks), VECTORS_AT_ONCE * lanes)
        self.loss_start: int = self.blocks * self.block
        self.size: int = self.loss_start + lanes


class PaddedVector:
    """A flat vector with padded rows.

    Parameters
    ----------
    layout
        Where parameters lie.
    array
        Its memory.
    """

    def __init__(self, layout: PaddedParameters, array: Vector) -> None:
        self.array: Vector = array
        # Found once, as a call may be so short that this would be a part of it.
        places = [(part, part.in_flat, part.in_padded(array)) for part in layout.parts]
        self._rows = [(in_flat, place) for part, in_flat, place in places if part.is_row]
        self._matrices = [(in_flat, place) for part, in_flat, place in places if not part.is_row]

    def spread(self, flat: Vector) -> None:
        """Copy a flat vector into padded memory."""
        for in_flat, place in self._rows:
            place[...] = flat[in_flat]
        for in_flat, place in self._matrices:
            place[...] = flat[in_flat].reshape(place.shape)

    def collect(self, flat: Vector) -> None:
        """Copy padded memory back into a flat vector."""
        for in_flat, place in self._rows:
            flat[in_flat] = place
        for in_flat, place in self._matrices:
            flat[in_flat].reshape(place.shape)[...] = place


@dataclass(frozen=True)
class FlatVectors:
    """Flat vectors with padded rows: parameters, gradient, decay mask, optimizer's state."""

    values: PaddedVector
    grads: PaddedVector
    mask: PaddedVector
    state: dict[str, PaddedVector]

    @classmethod
    def zeros(
        cls, layout: PaddedParameters, names: Iterable[str], dtype: np.dtype[Any]
    ) -> FlatVectors:
        """Return vectors of zeros, with a state of these names."""
        names = tuple(names)
        arrays = _zeros_apart(3 + len(names), layout.size, dtype)
        values, grads, mask, *state = [PaddedVector(layout, array) for array in arrays]
        return cls(values, grads, mask, dict(zip(names, state, strict=True)))

    @property
    def state_arrays(self) -> dict[str, Vector]:
        """The memory of the optimizer's state."""
        return {name: vector.array for name, vector in self.state.items()}

    def spread(self, values: Vector, state: Mapping[str, Vector]) -> None:
        """Take over a network's and an optimizer's vectors."""
        self.values.spread(values)
        for name, vector in self.state.items():
            vector.spread(state[name])

    def clear(self) -> None:
        """Set all that steps change to zero, between the ends of rows too."""
        for vector in (self.values, *self.state.values()):
            vector.array.fill(0.0)

    def collect(self, values: Vector, grads: Vector, state: Mapping[str, Vector]) -> None:
        """Give the vectors back."""
        self.values.collect(values)
        self.grads.collect(grads)
        for name, vector in self.state.items():
            vector.collect(state[name])


def _zeros_apart(count: int, floats: int, dtype: np.dtype[Any]) -> list[Vector]:
    """Return arrays of zeros whose addresses differ by `APART`, or some times that, and pages."""
    pitch = (padded(floats * dtype.itemsize, PAGE) + APART) // dtype.itemsize
    together: Vector = aligned_zeros(count * pitch, dtype)
    return [together[i * pitch : i * pitch + floats] for i in range(count)]


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """Return as few segments as have the same numbers: each costs a copy at each call."""
    parts: list[Segment] = []
    for segment in segments:
        nothing = Segment(segment.start, segment.padded_start, 1, 0, 0)
        joined = parts[-1].joined(segment) if parts else None
        if joined is None:
            parts.append(nothing.joined(segment) or segment)
        else:
            parts[-1] = joined
    return parts


def padded(count: int, lanes: int) -> int:
    """Return the next multiple of the lanes."""
    return -(-count // lanes) * lanes


class TileMemory:
    """Places for a tile's arrays in a thread's workspace, handed on as they are let go.

    Rows come in the same number for all, so a place is known by the floats that it takes for
    each row, and its offset is that of its first row when there are `rows` of them.
    """

    def __init__(self, rows: int, itemsize: int, reserved: int) -> None:
        self.rows = rows
        self.itemsize = itemsize
        self.used: int = reserved
        self._free: dict[int, list[int]] = {}

    def take(self, stride: int) -> int:
        """Return the offset, in bytes, of a place for rows of so many floats."""
        free = self._free.get(stride)
        if free:
            return free.pop()
        offset = self.used
        size = self.rows * stride * self.itemsize
        self.used += padded(size, ALIGNMENT) + APART
        return offset

    def give_back(self, stride: int, offset: int) -> None:
        """Let a place be taken again."""
        self._free.setdefault(stride, []).append(offset)

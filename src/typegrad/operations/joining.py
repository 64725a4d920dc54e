"""Several arrays joined, and one array repeated or padded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import NaryOperation, UnaryOperation
from typegrad.operations.indexing import ScatterAdd
from typegrad.operations.shape import axis_from_start
from typegrad.types import Array, Shape


@dataclass(frozen=True)
class Concatenate(NaryOperation):
    """Arrays one after the other along `axis`; each gets its part of the gradient."""

    gradient_reads_inputs: ClassVar[bool] = False

    axis: int = 0

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Shape with the lengths along `axis` added up; all others must be equal."""
        first = input_shapes[0]
        axis = axis_from_start(self, self.axis, len(first))
        others = {(len(shape), shape[:axis], shape[axis + 1 :]) for shape in input_shapes}
        if len(others) > 1:
            raise ShapeError(
                f"{self}: the inputs have shapes {', '.join(map(str, input_shapes))}; "
                f"expected equal lengths on all axes but {axis}"
            )
        return (*first[:axis], sum(shape[axis] for shape in input_shapes), *first[axis + 1 :])

    def output(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=self.axis)

    def input_grad(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
    ) -> Array:
        axis = self.axis % len(y.shape)
        start = sum(x.shape[axis] for x in inputs[:index])
        part = slice(start, start + inputs[index].shape[axis])
        return output_grad[(slice(None),) * axis + (part,)]


@dataclass(frozen=True)
class Stack(NaryOperation):
    """Arrays of one shape side by side, along a new axis of the output."""

    gradient_reads_inputs: ClassVar[bool] = False

    axis: int = 0

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Shape of the inputs, which must be equal, with their number at the new axis."""
        first = input_shapes[0]
        if any(shape != first for shape in input_shapes):
            raise ShapeError(
                f"{self}: the inputs have shapes {', '.join(map(str, input_shapes))}; "
                "expected equal shapes"
            )
        axis = axis_from_start(self, self.axis, len(first) + 1)
        return (*first[:axis], len(input_shapes), *first[axis:])

    def output(self, *inputs: Array) -> Array:
        return np.stack(inputs, axis=self.axis)

    def input_grad(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
    ) -> Array:
        axis = self.axis % len(y.shape)
        return output_grad[(slice(None),) * axis + (index,)]


@dataclass(frozen=True)
class Pad(UnaryOperation):
    """A border of one number around an array.

    Parameters
    ----------
    pad_width
        How many elements to put before and after: one pair for each axis, one pair for all
        axes, or one number for both ends of all axes.
    constant
        What to put there.
    """

    pad_width: int | tuple[int, int] | tuple[tuple[int, int], ...]
    constant: float = 0.0

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        widths = self.widths(len(shape))
        return tuple(
            before + length + after for length, (before, after) in zip(shape, widths, strict=True)
        )

    def output(self, x: Array) -> Array:
        widths = self.widths(len(x.shape))
        # NumPy does not pad an array without axes; there is nowhere to put anything.
        return np.pad(x, widths, constant_values=self.constant) if widths else x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        widths = self.widths(len(x.shape))
        return output_grad[
            tuple(
                slice(before, before + length)
                for length, (before, _) in zip(x.shape, widths, strict=True)
            )
        ]

    def widths(self, ndim: int) -> tuple[tuple[int, int], ...]:
        """A pair for each axis.

        Raises
        ------
        ShapeError
            If there is not one pair for each axis, or a number is negative.
        """
        pairs = self._pairs(ndim)
        if len(pairs) != ndim or any(number < 0 for pair in pairs for number in pair):
            raise ShapeError(
                f"{self}: the input has {ndim} axes; "
                "expected a pair of numbers >= 0 for each, or for all of them"
            )
        return pairs

    def _pairs(self, ndim: int) -> tuple[tuple[int, int], ...]:
        if isinstance(self.pad_width, int):
            return ((self.pad_width, self.pad_width),) * ndim
        pairs: list[tuple[int, int]] = []
        for item in self.pad_width:
            if isinstance(item, int):
                before, after = (number for number in self.pad_width if isinstance(number, int))
                return ((before, after),) * ndim
            pairs.append(item)
        return tuple(pairs) * ndim if len(pairs) == 1 else tuple(pairs)


@dataclass(frozen=True)
class Repeat(UnaryOperation):
    """Each element several times in a row.

    Parameters
    ----------
    repeats
        How often: one number, or one for each place along the axis.
    axis
        Axis to repeat along; None for one row of all elements.
    """

    repeats: int | tuple[int, ...]
    axis: int | None = None

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        rows = (math.prod(shape),) if self.axis is None else shape
        axis = axis_from_start(self, self.axis or 0, len(rows))
        repeats = self._each(rows[axis])
        if len(repeats) != rows[axis] or any(number < 0 for number in repeats):
            raise ShapeError(
                f"{self}: an input of shape {shape} has {rows[axis]} places there; expected one "
                "number of repeats >= 0 for all, or one for each"
            )
        return (*rows[:axis], sum(repeats), *rows[axis + 1 :])

    def output(self, x: Array) -> Array:
        return np.repeat(x, self.repeats, self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        rows = (math.prod(x.shape),) if self.axis is None else x.shape
        axis = (self.axis or 0) % len(rows)
        sources = np.repeat(np.arange(rows[axis]), self._each(rows[axis]))
        key = (slice(None),) * axis + (sources,)
        return np.reshape(ScatterAdd(key, rows).forward(output_grad), x.shape)

    def _each(self, count: int) -> tuple[int, ...]:
        return self.repeats if isinstance(self.repeats, tuple) else (self.repeats,) * count


@dataclass(frozen=True)
class Tile(UnaryOperation):
    """The whole array several times along each axis.

    Parameters
    ----------
    reps
        How often along each of the last axes, or along the last one. More numbers than
        axes make new axes in front.
    """

    reps: int | tuple[int, ...]

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        lengths, reps = self._aligned(input_shapes[0])
        if any(number < 0 for number in reps):
            raise ShapeError(f"{self}: expected numbers >= 0")
        return tuple(number * length for number, length in zip(reps, lengths, strict=True))

    def output(self, x: Array) -> Array:
        return np.tile(x, self.reps)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        lengths, reps = self._aligned(x.shape)
        pairs = zip(reps, lengths, strict=True)
        blocks = np.reshape(output_grad, tuple(number for pair in pairs for number in pair))
        total: Array = np.sum(blocks, axis=tuple(range(0, 2 * len(reps), 2)))
        return np.reshape(total, x.shape)

    def _aligned(self, shape: Shape) -> tuple[Shape, Shape]:
        """Lengths and repeats of the output's axes."""
        reps = self.reps if isinstance(self.reps, tuple) else (self.reps,)
        ndim = max(len(shape), len(reps))
        return (1,) * (ndim - len(shape)) + shape, (1,) * (ndim - len(reps)) + reps

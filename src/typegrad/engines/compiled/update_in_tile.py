"""A tile's program that ends with the update, for steps of one tile.

Such a step has few rows, and spends most of its time on its parameters. So a large matrix gets
its gradient in blocks, and each block is used by the update while it is in cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.layout import PaddedParameters, Segment
from typegrad.engines.compiled.program import SUMS, Instruction, Operand
from typegrad.engines.compiled.schedule import Layout, Schedule, Step, Total
from typegrad.engines.compiled.updates import LoweredUpdate

BLOCK_FLOATS = 4096
"""Floats of a gradient that are computed at a time: with the optimizer's state for them, they
fit a core's own caches."""


def with_large_gradients_last(schedule: Schedule) -> Schedule:
    """Return the schedule with the gradients of large matrices at its end.

    Everything else that reads a matrix then comes before its update.
    """
    steps = sorted(schedule.steps, key=_is_large_gradient)
    return replace(schedule, steps=steps)


def _is_large_gradient(step: Step) -> bool:
    memory = step.outputs[0].memory
    if step.kernel != "product" or not isinstance(memory, Total) or len(memory.offsets) > 1:
        return False
    return step.rows * memory.stride > BLOCK_FLOATS


@dataclass(frozen=True)
class UpdateInTile:
    """Writes the program.

    Attributes
    ----------
    layout
        Of a schedule from `with_large_gradients_last`.
    padded
        Where parameters lie.
    update
        What is done with their gradients.
    addresses
        Of native functions.
    itemsize
        Bytes of a float.
    """

    layout: Layout
    padded: PaddedParameters
    update: LoweredUpdate
    addresses: Mapping[str | Chain, int]
    itemsize: int

    def instructions(self) -> Iterator[Instruction]:
        """Give the tile's instructions, with the update."""
        large: dict[int, Step] = {}
        for step in self.layout.schedule.steps:
            if _is_large_gradient(step):
                assert isinstance(step.outputs[0].memory, Total)
                large[step.outputs[0].memory.offsets[0]] = step
            else:
                yield from self.layout.instructions_of(step, self.addresses, first_tile=True)

        def place_of(segment: Segment) -> int | None:
            place = segment.padded_start * self.itemsize
            return place if place in large else None

        for place, segments in groupby(self.padded.segments, place_of):
            if place is None:
                yield from self._update_whole(list(segments))
            else:
                yield from self._update_by_blocks(next(segments), large[place])

    def _update_whole(self, segments: list[Segment]) -> Iterator[Instruction]:
        """Update parameters side by side, whose gradients are there."""
        for segment in segments:
            yield from self._zero_ends(segment, 0, segment.rows)
        count = sum(segment.rows * segment.stride for segment in segments)
        yield self._update_part(segments[0].padded_start, count)

    def _update_by_blocks(self, segment: Segment, step: Step) -> Iterator[Instruction]:
        """Update a matrix, block by block of its gradient's rows."""
        (whole,) = self.layout.instructions_of(step, self.addresses, first_tile=True)
        out, left, *others = whole.operands
        # The left factor is transposed: its columns are the gradient's rows.
        _, next_column, _ = whole.numbers
        rows_at_once = max(1, BLOCK_FLOATS // segment.stride)
        for first in range(0, segment.rows, rows_at_once):
            rows = min(rows_at_once, segment.rows - first)
            operands = (
                out.moved(first * segment.stride * self.itemsize),
                left.moved(first * next_column * self.itemsize),
                *others,
            )
            yield replace(whole, rows=rows, operands=operands)
            yield from self._zero_ends(segment, first, rows)
            start = segment.padded_start + first * segment.stride
            yield self._update_part(start, rows * segment.stride)

    def _update_part(self, start: int, count: int) -> Instruction:
        function = self.addresses[self.update.chain]
        return self.update.instruction_for(function, start * self.itemsize, count)

    def _zero_ends(self, segment: Segment, first: int, rows: int) -> Iterator[Instruction]:
        function = self.addresses["zero_ends"]
        yield from zero_ends(function, segment, first, rows, self.itemsize)


def zero_ends(
    function: int, segment: Segment, first: int, rows: int, itemsize: int
) -> Iterator[Instruction]:
    """Set a gradient between its rows' ends to zero, as others read whole blocks."""
    if segment.width < segment.stride:
        start = (segment.padded_start + first * segment.stride) * itemsize
        yield Instruction(function, rows, segment.width, (Operand(SUMS, start, segment.stride),))

"""Steps of one tile: programs that share a tile among threads, and end with the update.

First each thread takes some of the rows through the network; no row needs another. Then each
takes some of the parameters: their gradients, summed over all rows, and their update. So the
bits are the same for any number of threads. Gradients are computed in blocks of a few thousand
floats, and each block is used by the update while it is in cache: such a step has few rows, and
spends most of its time on its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.layout import LARGEST_BLOCK, PaddedParameters, Segment
from typegrad.engines.compiled.program import SUMS, WORKSPACE, Instruction, Operand
from typegrad.engines.compiled.schedule import Layout, Schedule, Step, Total
from typegrad.engines.compiled.updates import LoweredUpdate


def with_sums_last(schedule: Schedule) -> Schedule:
    """Return the schedule with the sums over examples at its end.

    Everything else that reads a parameter then comes before its update.
    """
    return replace(schedule, steps=sorted(schedule.steps, key=lambda step: step.accumulates))


@dataclass(frozen=True)
class OneTile:
    """Writes the programs.

    Attributes
    ----------
    layout
        Of a schedule from `with_sums_last`.
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

    # -- rows -----------------------------------------------------------------------

    def for_rows(self, gathering: list[Instruction], first: int) -> list[Instruction]:
        """Return what takes rows of the tile, from the first one on, through the network."""
        steps = [step for step in self.layout.schedule.steps if not step.accumulates]
        instructions = [*gathering, *(each for step in steps for each in self._calls(step))]
        return [self._moved(each, first) for each in instructions]

    def _calls(self, step: Step) -> list[Instruction]:
        return self.layout.instructions_of(step, self.addresses, first_tile=True)

    def _moved(self, instruction: Instruction, rows: int) -> Instruction:
        operands = [
            operand.moved(rows * operand.stride * self.itemsize)
            if operand.space == WORKSPACE
            else operand
            for operand in instruction.operands
        ]
        return replace(instruction, operands=tuple(operands))

    # -- parameters -----------------------------------------------------------------

    def for_parameters(self, threads: int) -> list[list[Instruction]]:
        """Return, for each thread, what sums gradients over the rows and updates parameters."""
        shares: list[list[Instruction]] = [[] for _ in range(threads)]
        done, total = 0, max(self.padded.loss_start, 1)
        for count, instructions in self._units():
            # By the middle of what it does, so that shares differ by no more than a unit.
            middle = done + count // 2
            shares[min(middle * threads // total, threads - 1)] += instructions
            done += count
        return shares

    def _units(self) -> Iterator[tuple[int, list[Instruction]]]:
        """Give what belongs together, with the number of floats that it updates."""
        sums = self._sums()
        yield 0, [sums.pop(self.padded.loss_start * self.itemsize)]
        waiting: list[Segment] = []
        for segment in self.padded.segments:
            place = segment.padded_start * self.itemsize
            is_large = not segment.is_row and segment.floats > LARGEST_BLOCK and place in sums
            waiting += [] if is_large else [segment]
            is_full = sum(each.floats for each in waiting) >= LARGEST_BLOCK
            if waiting and (is_large or is_full):
                yield self._whole(waiting, sums)
                waiting = []
            if is_large:
                yield from self._blocks(segment, sums[place])
        if waiting:
            yield self._whole(waiting, sums)

    def _sums(self) -> dict[int, Instruction]:
        """Return what computes each sum over the rows, by the sum's place."""
        sums: dict[int, Instruction] = {}
        for step in self.layout.schedule.steps:
            output = step.outputs[0]
            if step.accumulates and isinstance(output.memory, Total) and output.width:
                sums.update(zip(output.memory.offsets, self._calls(step), strict=True))
        return sums

    def _whole(
        self, segments: list[Segment], sums: Mapping[int, Instruction]
    ) -> tuple[int, list[Instruction]]:
        """Return the unit of parameters side by side."""
        instructions = []
        for segment in segments:
            place = segment.padded_start * self.itemsize
            instructions += [sums[place]] if segment.width and place in sums else []
            instructions += self._zero_ends(segment)
        count = sum(segment.floats for segment in segments)
        return count, [*instructions, self._update_part(segments[0].padded_start, count)]

    def _blocks(
        self, segment: Segment, product: Instruction
    ) -> Iterator[tuple[int, list[Instruction]]]:
        """Give the units of a matrix, whose gradient is a product: some rows each."""
        out, left, *others = product.operands
        # The left factor is transposed: its columns are the gradient's rows.
        _, next_column, _ = product.numbers
        rows_at_once = max(1, LARGEST_BLOCK // segment.stride)
        for first in range(0, segment.rows, rows_at_once):
            part = segment.some_rows(first, min(rows_at_once, segment.rows - first))
            operands = (
                out.moved(first * segment.stride * self.itemsize),
                left.moved(first * next_column * self.itemsize),
                *others,
            )
            instructions = [
                replace(product, rows=part.rows, operands=operands),
                *self._zero_ends(part),
                self._update_part(part.padded_start, part.floats),
            ]
            yield part.floats, instructions

    def _update_part(self, start: int, count: int) -> Instruction:
        function = self.addresses[self.update.chain]
        return self.update.instruction_for(function, start * self.itemsize, count)

    def _zero_ends(self, segment: Segment) -> list[Instruction]:
        return zero_ends(self.addresses["zero_ends"], segment, self.itemsize)


def zero_ends(function: int, segment: Segment, itemsize: int) -> list[Instruction]:
    """Set a gradient between its rows' ends to zero, as others read whole blocks."""
    if segment.width == segment.stride:
        return []
    rows = Operand(SUMS, segment.padded_start * itemsize, segment.stride)
    return [Instruction(function, segment.rows, segment.width, (rows,))]

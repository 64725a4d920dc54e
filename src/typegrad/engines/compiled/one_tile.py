"""Steps of one tile: programs that share a tile among threads, and end with the update.

First each thread takes some of the rows through the network; no row needs another. Then each
takes some of the parameters: their gradients, summed over all rows, and their update. So the
bits are the same for any number of threads.

Such a step has few rows, and spends most of its time on its parameters. So large matrices'
gradients are computed in blocks of a few thousand floats, which the update uses while they are in
cache. All blocks take the same small memory; a matrix's gradient for one row is an outer product,
and takes none. Only in the last of the steps, whose gradient may be looked at, all of it is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.layout import LARGEST_BLOCK, PaddedParameters, Segment
from typegrad.engines.compiled.program import (
    ABSOLUTE,
    SUMS,
    UNPLACED,
    WORKSPACE,
    Instruction,
    Operand,
)
from typegrad.engines.compiled.schedule import Kernel, Layout, Place, Schedule, Step, Total
from typegrad.engines.compiled.updates import LoweredUpdate


def with_sums_last(schedule: Schedule) -> Schedule:
    """Return the schedule with the sums over examples at its end.

    Everything else that reads a parameter then comes before its update.
    """
    return replace(schedule, steps=sorted(schedule.steps, key=lambda step: step.accumulates))


class _Sum(NamedTuple):
    """A sum over the rows: the step, and its call for one place where it is wanted."""

    step: Step
    call: Instruction


@dataclass(frozen=True)
class OneTile:
    """Writes the programs.

    Attributes
    ----------
    layout
        Of a schedule from `with_sums_last`.
    padded
        Where parameters lie.
    update, outer_update
        What is done with their gradients, and with gradients that are outer products.
    addresses
        Of native functions.
    itemsize
        Bytes of a float.
    sources
        What is gathered from the data.
    has_one_row
        Whether the tile has.
    keeps_gradient
        Whether all of the gradient is in its place afterwards.
    """

    layout: Layout
    padded: PaddedParameters
    update: LoweredUpdate
    outer_update: LoweredUpdate
    addresses: Mapping[Kernel, int]
    itemsize: int
    sources: Collection[Place]
    has_one_row: bool
    keeps_gradient: bool

    # -- rows -----------------------------------------------------------------------

    def for_rows(self, gathering: list[Instruction], first: int) -> list[Instruction]:
        """Return what takes rows of the tile, from the first one on, through the network."""
        instructions = [*gathering]
        makes_loss = self._makes_loss()
        for step in self.layout.schedule.steps:
            if step is makes_loss:
                instructions += self._calls(self._with_loss_in_place(step))
            elif not step.accumulates:
                instructions += self._calls(step)

        def moved(operand: Operand) -> Operand:
            is_in_tile = operand.space == WORKSPACE
            return operand.moved(first * operand.stride * self.itemsize) if is_in_tile else operand

        return [each.with_operands(moved) for each in instructions]

    def _calls(self, step: Step) -> list[Instruction]:
        return self.layout.instructions_of(step, self.addresses, first_tile=True)

    def _makes_loss(self) -> Step | None:
        """Return the chain that makes the loss of the only row, if nothing but its sum reads it."""
        total = self._sums[self._loss.offset].step
        is_wanted_once = len(self._calls(total)) == 1
        if not (self.has_one_row and is_wanted_once and total.kernel == "total"):
            return None
        (loss,) = total.inputs
        first, *others = (each for each in self.layout.schedule.steps if _uses(each, loss))
        is_made = isinstance(first.kernel, Chain) and loss in first.outputs
        return first if is_made and others == [total] else None

    def _with_loss_in_place(self, step: Step) -> Step:
        """Return the step that puts the loss where its sum would be: there is a vector's room."""
        (loss,) = self._sums[self._loss.offset].step.inputs
        in_place = replace(loss, memory=self._loss)
        outputs = tuple(in_place if place == loss else place for place in step.outputs)
        return replace(step, outputs=outputs)

    @property
    def _loss(self) -> Operand:
        """Where the loss is wanted."""
        return Operand(SUMS, self.padded.loss_start * self.itemsize, 1)

    # -- parameters -----------------------------------------------------------------

    def for_parameters(self, blocks: Sequence[int]) -> list[list[Instruction]]:
        """Return, for each thread, what sums gradients over the rows and updates parameters.

        Each thread has memory at an address, for a block of a gradient: see `block_floats`.
        """
        threads = len(blocks)
        shares: list[list[Instruction]] = [[] for _ in blocks]
        done, total = 0, max(self.padded.loss_start, 1)
        for count, instructions in self._units():
            # By the middle of what it does, so that shares differ by no more than a unit.
            middle = done + count // 2
            shares[min(middle * threads // total, threads - 1)] += instructions
            done += count
        return [
            [_in_block(each, block) for each in share]
            for share, block in zip(shares, blocks, strict=True)
        ]

    def _units(self) -> Iterator[tuple[int, list[Instruction]]]:
        """Give what belongs together, with the number of floats that it updates."""
        loss = self._sums[self._loss.offset].call
        yield 0, [] if self._makes_loss() is not None else [loss]
        waiting: list[Segment] = []
        for segment in self.padded.segments:
            summing = self._summing(segment)
            is_product = summing is not None and summing.step.kernel == "product"
            if summing is not None and is_product and self._is_cut(segment):
                yield from self._whole(waiting)
                yield from self._parts(segment, summing.call)
                waiting = []
                continue
            waiting.append(segment)
            if sum(each.floats for each in waiting) >= LARGEST_BLOCK:
                yield from self._whole(waiting)
                waiting = []
        yield from self._whole(waiting)

    @cached_property
    def _sums(self) -> Mapping[int, _Sum]:
        """What computes each sum over the rows, by the sum's place."""
        sums: dict[int, _Sum] = {}
        for step in self.layout.schedule.steps:
            output = step.outputs[0]
            if step.accumulates and isinstance(output.memory, Total) and output.width:
                calls = [_Sum(step, call) for call in self._calls(step)]
                sums.update(zip(output.memory.offsets, calls, strict=True))
        return sums

    def _summing(self, segment: Segment) -> _Sum | None:
        """Return what computes the gradient of a parameter; nothing if it is zero."""
        gradient = gradient_of(segment, self.itemsize)
        return self._sums.get(gradient.offset) if segment.width else None

    def _is_cut(self, segment: Segment) -> bool:
        """Whether a parameter is updated by itself, some rows at a time."""
        is_large = segment.floats > LARGEST_BLOCK
        return not segment.is_row and (is_large or self._is_outer(segment))

    def _is_outer(self, segment: Segment) -> bool:
        """Whether a matrix's gradient is computed on the way, from its factors."""
        # What lies between the ends of the factor's rows may be anything.
        has_no_ends = segment.width == segment.stride
        return self.has_one_row and has_no_ends and not self.keeps_gradient

    def _whole(self, segments: list[Segment]) -> Iterator[tuple[int, list[Instruction]]]:
        """Give the unit of parameters side by side, if there are any."""
        if not segments:
            return
        first, count = segments[0], sum(segment.floats for segment in segments)
        factors = self._factors_for_one_output(segments)
        if factors is not None:
            yield count, [self._updating(self.outer_update, first, (1, count), factors)]
            return
        instructions = []
        for segment in segments:
            gradient = gradient_of(segment, self.itemsize)
            summing = self._summing(segment)
            kernel = None if summing is None else summing.step.kernel
            if summing is not None and self.has_one_row and kernel == "product":
                instructions.append(self._outer_product(summing.call, segment, gradient))
                continue
            instructions += [] if summing is None else [summing.call]
            # A total fills its vector with zeros by itself.
            if kernel != "total":
                instructions += self._zero_ends(segment, gradient)
        place = (gradient_of(first, self.itemsize),)
        yield count, [*instructions, self._updating(self.update, first, (1, count), place)]

    def _factors_for_one_output(self, segments: list[Segment]) -> tuple[Operand, Operand] | None:
        """Return the factors of a gradient for one row, by weights and bias of a single output.

        They are the row of the data, with the 1 that it was gathered with behind it, and a number.
        """
        found = [self._summing(each) for each in segments]
        if not self.has_one_row or self.keeps_gradient or None in found or len(found) != 2:
            return None
        by_weights, by_bias = (each.step for each in found if each is not None)
        if (by_weights.kernel, by_bias.kernel) != ("product", "total") or not segments[0].is_row:
            return None
        number, row = by_weights.inputs
        factors = self.layout.operand(row), self.layout.operand(number)
        is_same = factors[1] == self.layout.operand(*by_bias.inputs)
        has_one_behind = row in self.sources and row.width > 1 and row.stride == segments[0].stride
        return factors if is_same and has_one_behind else None

    def _parts(
        self, segment: Segment, product: Instruction
    ) -> Iterator[tuple[int, list[Instruction]]]:
        """Give the units of a matrix, whose gradient is a product: some rows each."""
        _, left, right, start = product.operands
        # The left factor is transposed: its columns are the gradient's rows.
        _, next_column, _ = product.numbers
        rows_at_once = max(1, LARGEST_BLOCK // segment.stride)
        for first in range(0, segment.rows, rows_at_once):
            part = segment.some_rows(first, min(rows_at_once, segment.rows - first))
            column = left.moved(first * next_column * self.itemsize)
            if self._is_outer(segment):
                factors = (replace(right, stride=0), replace(column, stride=next_column))
                shape = (part.rows, part.stride)
                yield part.floats, [self._updating(self.outer_update, part, shape, factors)]
                continue
            gradient = gradient_of(part, self.itemsize)
            if not self.keeps_gradient:
                gradient = Operand(UNPLACED, 0, segment.stride)
            instructions = [
                replace(product, rows=part.rows, operands=(gradient, column, right, start)),
                *self._zero_ends(part, gradient),
                self._updating(self.update, part, (1, part.floats), (gradient,)),
            ]
            yield part.floats, instructions

    def _outer_product(
        self, product: Instruction, segment: Segment, gradient: Operand
    ) -> Instruction:
        """Return what computes a gradient for one row, and the zeros at its rows' ends."""
        _, left, right, _ = product.operands
        column = replace(left, stride=product.numbers[1])
        operands = (gradient, column, right)
        return Instruction(self.addresses["outer"], segment.rows, segment.width, operands)

    def _updating(
        self,
        update: LoweredUpdate,
        segment: Segment,
        shape: tuple[int, int],
        gradient: Sequence[Operand],
    ) -> Instruction:
        """Return the update of rows of floats, from a segment's first on."""
        start = segment.padded_start * self.itemsize
        return update.instruction_for(self.addresses[update.chain], start, shape, gradient)

    def _zero_ends(self, segment: Segment, gradient: Operand) -> list[Instruction]:
        return zero_ends(self.addresses["zero_ends"], segment, gradient)


def _uses(step: Step, place: Place) -> bool:
    """Whether it reads or writes what a place shows."""
    return place.memory in step.buffers()


def block_floats(padded: PaddedParameters) -> int:
    """Return how many floats a block of a large matrix's gradient may have."""
    strides = [segment.stride for segment in padded.segments if not segment.is_row]
    return max([LARGEST_BLOCK, *strides])


def gradient_of(segment: Segment, itemsize: int) -> Operand:
    """Return where the gradient of a parameter, or of some of its rows, is summed."""
    return Operand(SUMS, segment.padded_start * itemsize, segment.stride)


def zero_ends(function: int, segment: Segment, gradient: Operand) -> list[Instruction]:
    """Set a gradient between its rows' ends to zero, as others read whole blocks."""
    if segment.width == segment.stride:
        return []
    return [Instruction(function, segment.rows, segment.width, (gradient,))]


def _in_block(instruction: Instruction, block: int) -> Instruction:
    """Return the instruction for a thread, whose blocks of gradients lie at an address."""

    def placed(operand: Operand) -> Operand:
        is_block = operand.space == UNPLACED
        return replace(operand, space=ABSOLUTE, offset=block) if is_block else operand

    return instruction.with_operands(placed)

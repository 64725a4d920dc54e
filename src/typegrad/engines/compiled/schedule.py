"""The schedule of a tile: steps in their order, on arrays that get their memory at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

from typegrad.engines.compiled.chain import Chain
from typegrad.engines.compiled.layout import TileMemory
from typegrad.engines.compiled.program import (
    SUMS,
    TILE_ROWS,
    WORKSPACE,
    Instruction,
    Operand,
)

if TYPE_CHECKING:
    from typegrad.engines.compiled.opaque import OpaqueKernel

Kernel: TypeAlias = Union[str, Chain, "OpaqueKernel"]
"""What a step calls: a kernel by its name, a chain, or what runs as it is written."""

Form: TypeAlias = Literal["tile", "column", "codes", "row", "matrix", "number", "sum", "gradient"]
"""What an array is, and how it lies in memory; n is the number of examples.

==========  ====================  ==========================================================
form        shape                 in memory
==========  ====================  ==========================================================
tile        (n, w), w > 1         padded rows in the workspace
column      (n,), (n, 1)          one float a row, in the workspace
codes       (n,), (n, k)          as a tile or a column: floats that are rows' numbers
row         (w,), (1, w)          one row: a parameter, a constant, a mean over examples
matrix      (k, m)                a parameter with padded rows
number      (), or any            one float, for all there is
sum         a parameter's, or ()  summed over examples, with the chunk's sums
gradient    a parameter's         the gradient before the step, which nothing may read
==========  ====================  ==========================================================
"""


@dataclass(eq=False)
class Buffer:
    """Rows of the workspace that hold one array, or several views of one.

    `stride` is the number of floats from one row to the next.
    """

    stride: int


@dataclass(eq=False)
class Total:
    """A sum over examples, with rows of `stride` floats.

    `offsets` tells where it is wanted among the chunk's sums. It may be a `part` of another sum,
    and has no place of its own then.
    """

    stride: int
    offsets: list[int] = field(default_factory=list)
    part_of: Total | None = None

    @property
    def whole(self) -> Total:
        """The sum that it is a part of in the end, or itself."""
        return self if self.part_of is None else self.part_of.whole


@dataclass(frozen=True)
class Place:
    """Where an array lies.

    Attributes
    ----------
    width
        Floats in a row.
    rows
        Of a matrix or of a sum.
    offset
        Bytes from the start of a buffer's row.
    transposed
        Whether it is read the other way than it lies.
    value
        Of a number that is known in advance.
    """

    form: Form
    memory: Operand | Buffer | Total
    width: int = 1
    rows: int = 1
    offset: int = 0
    transposed: bool = False
    value: float | None = None

    @property
    def is_of_examples(self) -> bool:
        """Whether it has a row for each example, one after the other."""
        return self.form in ("tile", "column") and not self.transposed

    @property
    def is_row(self) -> bool:
        """Whether it is one row beside all examples."""
        return self.form == "row"

    @property
    def stride(self) -> int:
        """Floats from one row to the next."""
        return self.memory.stride

    def lies_as(self, other: Place) -> bool:
        """Whether both have the same elements at the same distances."""
        return replace(other, memory=self.memory) == self and other.stride == self.stride

    @property
    def space(self) -> int:
        """What its address counts from."""
        if isinstance(self.memory, Operand):
            return self.memory.space
        return WORKSPACE if isinstance(self.memory, Buffer) else SUMS


@dataclass
class Step:
    """One call of a kernel or chain, once for each tile.

    Attributes
    ----------
    outputs, inputs
        Operands of the kernel, in this order.
    start
        Operand after those: what its sums begin with.
    accumulates
        Whether they begin with the output itself, except in a chunk's first tile.
    continues
        Whether they begin with the output in a chunk's first tile too: another step has begun it.
    is_joint
        Whether it is taken once for the batch, and not for each tile.
    phase
        Before a phase come the joint steps that have its number, and need what all tiles have
        done in the phases before it.
    """

    kernel: Kernel
    outputs: tuple[Place, ...]
    inputs: tuple[Place, ...]
    columns: int
    rows: int = TILE_ROWS
    numbers: tuple[int, ...] = ()
    start: Operand | None = None
    accumulates: bool = False
    continues: bool = False
    is_joint: bool = False
    phase: int = 0

    def buffers(self) -> list[Buffer]:
        """Return the buffers that it reads or writes."""
        places = (*self.outputs, *self.inputs)
        return [place.memory for place in places if isinstance(place.memory, Buffer)]


@dataclass
class Schedule:
    """Steps in the order in which they run.

    Attributes
    ----------
    zeros
        An operand of zeros, as long as the widest sum.
    itemsize
        Bytes of a float.
    steps
        In order.
    filled
        Buffers that have their content before the first step.
    """

    zeros: Operand
    itemsize: int
    steps: list[Step] = field(default_factory=list)
    filled: list[Buffer] = field(default_factory=list)

    @property
    def phases(self) -> int:
        """How often all tiles must be done before one of them goes on, and once.

        What a joint step needs of other joint steps may take phases without a step of tiles.
        """
        return max((step.phase + (not step.is_joint) for step in self.steps), default=1)

    def join_sums(self) -> None:
        """Let steps that make parts of a sum add to the whole; all steps are in their order."""
        begun: set[Total] = set()
        for step in self.steps:
            memory = step.outputs[0].memory
            if isinstance(memory, Total):
                step.outputs = (replace(step.outputs[0], memory=memory.whole),)
                step.continues = memory.whole in begun
                begun.add(memory.whole)

    @property
    def has_joined_sums(self) -> bool:
        """Whether several steps add to one sum."""
        return any(step.continues for step in self.steps)

    def chains(self) -> list[Chain]:
        """Return all chains."""
        return [step.kernel for step in self.steps if isinstance(step.kernel, Chain)]

    def lay_out(self, tile_rows: int, reserved: int) -> Layout:
        """Give each buffer its place in a workspace.

        Parameters
        ----------
        tile_rows
            Rows of a buffer.
        reserved
            Bytes at the start of the workspace that are used otherwise.
        """
        last = {id(buffer): i for i, step in enumerate(self.steps) for buffer in step.buffers()}
        memory = TileMemory(tile_rows, self.itemsize, reserved)
        offsets = {id(buffer): memory.take(buffer.stride) for buffer in self.filled}
        for index, step in enumerate(self.steps):
            ending = [
                buffer
                for buffer in dict.fromkeys(step.buffers())
                if last[id(buffer)] == index and id(buffer) in offsets
            ]
            # A chain's output may take the place of an input; other kernels look back.
            in_place = isinstance(step.kernel, Chain)
            if in_place:
                _let_go(ending, offsets, memory)
            for buffer in step.buffers():
                if id(buffer) not in offsets:
                    offsets[id(buffer)] = memory.take(buffer.stride)
            if not in_place:
                _let_go(ending, offsets, memory)
        return Layout(self, offsets, memory.used)


def _let_go(buffers: Sequence[Buffer], offsets: Mapping[int, int], memory: TileMemory) -> None:
    for buffer in buffers:
        memory.give_back(buffer.stride, offsets[id(buffer)])


@dataclass
class Layout:
    """A schedule whose buffers have their places."""

    schedule: Schedule
    offsets: dict[int, int]
    used_bytes: int

    def instructions(
        self,
        addresses: Mapping[Kernel, int],
        *,
        first_tile: bool,
        phase: int = 0,
        is_joint: bool = False,
    ) -> list[Instruction]:
        """Return a phase's program for a chunk's first tile, or for those after it."""
        return [
            instruction
            for step in self.schedule.steps
            if (step.phase, step.is_joint) == (phase, is_joint)
            for instruction in self.instructions_of(step, addresses, first_tile=first_tile)
        ]

    def instructions_of(
        self, step: Step, addresses: Mapping[Kernel, int], *, first_tile: bool
    ) -> list[Instruction]:
        """Return the calls for one step."""
        return [self._instruction(each, addresses, first_tile) for each in _for_each_total(step)]

    def _instruction(
        self, step: Step, addresses: Mapping[Kernel, int], first_tile: bool
    ) -> Instruction:
        operands = [self.operand(place) for place in (*step.outputs, *step.inputs)]
        if step.accumulates:
            begins = first_tile and not step.continues
            operands.append(self.schedule.zeros if begins else operands[0])
        elif step.start is not None:
            operands.append(step.start)
        function = addresses[step.kernel]
        return Instruction(function, step.rows, step.columns, tuple(operands), step.numbers)

    def operand(self, place: Place) -> Operand:
        """Return where a place lies."""
        memory = place.memory
        if isinstance(memory, Operand):
            return memory
        if isinstance(memory, Buffer):
            start = self.offsets[id(memory)] + place.offset
            return Operand(WORKSPACE, start, memory.stride)
        (offset,) = memory.offsets
        return Operand(SUMS, offset, memory.stride)


def _for_each_total(step: Step) -> list[Step]:
    """Return the step for each place where its sum is wanted: equal gradients are one node."""
    output: Any = step.outputs[0]
    if not isinstance(output.memory, Total):
        return [step]
    return [
        replace(step, outputs=(replace(output, memory=Total(output.stride, [offset])),))
        for offset in output.memory.offsets
    ]

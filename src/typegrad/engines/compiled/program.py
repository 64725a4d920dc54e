"""Programs: what native code runs, as arrays of integers.

An instruction is a native function's address, its own length, and what the function reads:
rows, columns, operands, and numbers of its own. An operand is three integers: a space, an
offset in bytes from the space's base, and the number of floats from one row to the next.

===============  ==============================================================
space            its base
===============  ==============================================================
`ABSOLUTE`       0: the offset is an address, of parameters or constants
`WORKSPACE`      the thread's own memory: the activations of its tile
`SUMS`           the chunk's sums: gradients of parameters, loss
`SCALARS`        the step's numbers, such as its learning rate
`BLOCK`          the part of flat vectors that an update is at; offsets are addresses
`INPUTS`         where nothing is trained: the tile's first row of the inputs
`OUTPUTS`        the same of the outputs
===============  ==============================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from typegrad.types import IntArray

ABSOLUTE, WORKSPACE, SUMS, SCALARS, BLOCK, INPUTS, OUTPUTS = range(7)
SPACES = 7
UNPLACED = -1
"""Of an operand whose place is not known yet; the offset tells it from others."""

# Further fields of a frame, which every native function is given beside its instruction: the
# bases of the spaces come first.
(
    ROWS, FIRST_ROW, ORDER, ORDER_END, KEYS, THREAD, THREADS, STEP, BATCH_ROWS, WHOLE_TILE_ROWS,
) = range(SPACES, SPACES + 10)  # fmt: skip
FRAME_FIELDS = SPACES + 10

# Fields of an instruction.
FUNCTION, LENGTH, ROW_COUNT, COLUMNS, OPERANDS = range(5)
OPERAND_FIELDS = 3

TILE_ROWS = -1
"""In ROW_COUNT: as many rows as the frame says."""

TILE_SPAN = -2
"""In ROW_COUNT: one row, as long as the frame's rows laid end to end."""


@dataclass(frozen=True)
class Operand:
    """Where an array of rows lies."""

    space: int
    offset: int
    stride: int = 0

    def moved(self, offset: int) -> Operand:
        """Return what lies so many bytes further on."""
        return Operand(self.space, self.offset + offset, self.stride)


@dataclass(frozen=True)
class Instruction:
    """What one native function is called with."""

    function: int
    rows: int
    columns: int
    operands: tuple[Operand, ...]
    numbers: tuple[int, ...] = ()

    def with_operands(self, change: Callable[[Operand], Operand]) -> Instruction:
        """Return the instruction with each operand changed."""
        return replace(self, operands=tuple(map(change, self.operands)))

    def fields(self) -> list[int]:
        """Return the integers."""
        assert all(operand.space != UNPLACED for operand in self.operands)
        operands = [
            number
            for operand in self.operands
            for number in (operand.space, operand.offset, operand.stride)
        ]
        length = OPERANDS + len(operands) + len(self.numbers)
        return [self.function, length, self.rows, self.columns, *operands, *self.numbers]


def encode(instructions: list[Instruction]) -> npt.NDArray[np.int64]:
    """Return a program as an array of integers."""
    fields = [field for instruction in instructions for field in instruction.fields()]
    return np.array(fields, np.int64)


def span(program: IntArray) -> tuple[int, int]:
    """Return the addresses where a program starts and where it ends."""
    start = program.ctypes.data
    return start, start + program.nbytes

"""Native functions called on NumPy arrays."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from typegrad.aligned import aligned_zeros
from typegrad.engines.compiled.chain import Chain, ChainBuilder
from typegrad.engines.compiled.elementwise import FUNCTIONS
from typegrad.engines.compiled.library import library_for
from typegrad.engines.compiled.program import (
    ABSOLUTE,
    FRAME_FIELDS,
    ROWS,
    THREADS,
    TILE_SPAN,
    Instruction,
    Operand,
    encode,
)
from typegrad.types import Array, IntArray

GARBAGE = np.nan
"""What pads hold: nothing may come of it."""


def padded_rows(array: Array) -> Array:
    """Copy a matrix to rows of whole vectors, with garbage at their ends; a view of the matrix."""
    lanes = library_for(8 * array.dtype.itemsize).lanes
    rows, width = array.shape
    stride = -(-width // lanes) * lanes
    memory = aligned_zeros((rows + 1) * stride, array.dtype).reshape(rows + 1, stride)
    memory[...] = GARBAGE
    memory[:rows, :width] = array
    view: Array = memory[:rows, :width]
    return view


@dataclass(frozen=True)
class PreparedCall:
    """A call that can be made, and all memory that it works on."""

    function: Callable[[int, int], int]
    program: IntArray
    fields: IntArray
    operands: Sequence[Array]

    def __call__(self) -> None:
        self.function(self.program.ctypes.data, self.fields.ctypes.data)


def call(
    function: str | Chain,
    operands: Sequence[Array],
    rows: int,
    columns: int,
    numbers: Sequence[int] = (),
    *,
    frame: dict[int, int] | None = None,
) -> None:
    """Call a kernel or chain on arrays; the stride of one row is 0."""
    prepare(function, operands, rows, columns, numbers, frame=frame)()


def prepare(
    function: str | Chain,
    operands: Sequence[Array],
    rows: int,
    columns: int,
    numbers: Sequence[int] = (),
    *,
    frame: dict[int, int] | None = None,
) -> PreparedCall:
    """Prepare a call, to be made once or more often."""
    dtype = operands[0].dtype
    library = library_for(8 * dtype.itemsize)
    if isinstance(function, str):
        address = library.kernel(function)
    else:
        address = library.chains([function])[function]
    places = [
        Operand(
            ABSOLUTE,
            array.ctypes.data,
            array.strides[0] // dtype.itemsize if array.ndim == 2 and len(array) > 1 else 0,
        )
        for array in operands
    ]
    program = encode([Instruction(address, rows, columns, tuple(places), tuple(numbers))])
    fields = np.zeros(FRAME_FIELDS, np.int64)
    fields[THREADS] = 1
    for field, value in (frame or {}).items():
        fields[field] = value
    native = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(address)
    return PreparedCall(native, program, fields, operands)


def operand_count(function: str) -> int:
    """Return how many operands an element-wise function has."""
    return len(inspect.signature(FUNCTIONS[function]).parameters) - 1  # beside `Vectors`


def apply(function: str, *arguments: Array) -> Array:
    """Apply an element-wise function to vectors of one length."""
    run, result = prepare_function(function, *arguments)
    run()
    return result


def prepare_function(function: str, *arguments: Array) -> tuple[PreparedCall, Array]:
    """Prepare the call of an element-wise function; it fills the array that comes with it."""
    builder = ChainBuilder("v" * len(arguments))
    chain = builder.finish([builder.link(function, *range(len(arguments)))])
    dtype = arguments[0].dtype
    count = arguments[0].size
    copies = []
    for argument in arguments:
        copy = aligned_zeros(count + 64, dtype)
        copy[:count] = argument
        copies.append(copy)
    out = aligned_zeros(count + 64, dtype)
    run = prepare(chain, [out, *copies], TILE_SPAN, 1, frame={ROWS: count})
    return run, out[:count]

"""Kernels: native functions that take an instruction and a frame.

Threads may share a tile, each with some of its rows. So a kernel may write beyond its columns
within a row's stride only, and beyond its rows only up to whole vectors of a single column. A
kernel for one row is alone with the tile, and may write into the next row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typegrad.engines.compiled.chain import VECTOR, Chain, Term
from typegrad.engines.compiled.code import WORD, Code, Int, Value
from typegrad.engines.compiled.elementwise import FUNCTIONS
from typegrad.engines.compiled.program import (
    COLUMNS,
    OPERAND_FIELDS,
    OPERANDS,
    ROW_COUNT,
    ROWS,
    TILE_ROWS,
    TILE_SPAN,
)
from typegrad.engines.compiled.vector import Vectors


class Kernel(Code):
    """A native function that reads what to do from an instruction, with a frame's bases.

    Parameters
    ----------
    module, name
        Where the function is written, and its name.
    bits, lanes
        Of a float, and of a vector of floats.
    has_one_row
        Whether the tile has, and always has: then nothing is asked of how many there are.
    is_public
        As of `Code`.

    Attributes
    ----------
    v
        Vectors of its float type.
    rows, columns
        As the instruction says.
    """

    def __init__(
        self,
        module: Any,
        name: str,
        bits: int,
        lanes: int,
        *,
        has_one_row: bool = False,
        is_public: bool = True,
    ) -> None:
        super().__init__(module, name, 2, is_public=is_public)
        self.v: Vectors = Vectors(self, bits, lanes)
        self.instruction: Int
        self.frame: Int
        self.instruction, self.frame = self.arguments
        self.rows: Int
        self.columns: Int
        columns = self.read(self.instruction, COLUMNS)
        if has_one_row:
            self.rows, self.columns = self.integer(1), columns
            return
        frame_rows = self.read(self.frame, ROWS)
        field = self.read(self.instruction, ROW_COUNT)
        rows = frame_rows.choose(field.equals(TILE_ROWS), field)
        is_span = field.equals(TILE_SPAN)
        span = (frame_rows * columns + (lanes - 1)) // lanes * lanes
        self.rows = self.integer(1).choose(is_span, rows)
        self.columns = span.choose(is_span, columns)

    def operand(self, index: int) -> tuple[Int, Int]:
        """Return the address of an operand, and the bytes from one of its rows to the next."""
        first = OPERANDS + OPERAND_FIELDS * index
        space, offset, stride = (
            self.read(self.instruction, first + i) for i in range(OPERAND_FIELDS)
        )
        base = self.read(self.frame + 8 * space)
        return base + offset, stride * self.v.itemsize

    def number(self, operands: int, index: int = 0) -> Int:
        """Return a number that follows so many operands."""
        return self.read(self.numbers(operands), index)

    def numbers(self, operands: int) -> Int:
        """Return the address of the numbers that follow so many operands."""
        return self.instruction + (OPERANDS + OPERAND_FIELDS * operands) * WORD

    def in_pieces(self, act: Callable[[Int, int], None]) -> None:
        """Write what to do from a column on with so many, for all columns: whole vectors first.

        Of what does not fill a vector, its number in binary tells the pieces.
        """
        lanes = self.v.lanes
        with self.loop(self.columns - (lanes - 1), lanes) as column:
            act(column, lanes)
        done = self.variable(self.columns // lanes * lanes)
        piece = lanes // 2
        while piece:
            with self.when(self.columns.has_bit(piece)):
                act(done.get(), piece)
                done.increase(piece)
            piece //= 2


def emit_chain(module: Any, chain: Chain, bits: int, lanes: int) -> None:
    """Write the native function of a chain: operands are the outputs, then the inputs.

    An output may lie where an input lies: a vector's inputs are all read before its outputs are
    written. It returns 1 if something that is checked is not finite, else 0.
    """
    several = Kernel(module, f"{chain.name}_rows", bits, lanes, is_public=False)
    several.finish(_write_chain(several, chain, several.rows))
    code = Kernel(module, chain.name, bits, lanes)
    # Most often there is one row, however long; what several need takes as long as a few floats,
    # even to save the registers that they use.
    with code.when(code.rows.equals(1)):
        code.leave(_write_chain(code, chain, code.integer(1)))
    code.finish(code.call(several.function, code.instruction, code.frame))


def _write_chain(code: Kernel, chain: Chain, rows: Int) -> Int:
    """Write the loops over some rows; return whether something is not finite."""
    v = code.v
    outputs = [code.operand(i) for i in range(len(chain.outputs))]
    inputs = [code.operand(len(outputs) + i) for i in range(len(chain.forms))]
    zero = v.constant(0.0)
    spoiled = [v.variable(zero) for _ in chain.checked]
    with code.loop(rows) as row:
        targets = [start + row * stride for start, stride in outputs]
        starts = [start + row * stride for start, stride in inputs]
        scalars = {
            i: v.splat(v.load_one(starts[i]))
            for i, form in enumerate(chain.forms)
            if form != VECTOR
        }
        reciprocals = _reciprocals(v, chain, scalars)
        with code.loop(code.columns * v.itemsize, v.lanes * v.itemsize) as place:
            values = [
                scalars[i] if i in scalars else v.load(start + place)
                for i, start in enumerate(starts)
            ]
            for function, terms in chain.links:
                operands = [_term(v, values, term) for term in terms]
                divisor = terms[-1]
                if function == "divide" and isinstance(divisor, int) and divisor in scalars:
                    values.append(v.multiply(operands[0], reciprocals[divisor]))
                else:
                    values.append(FUNCTIONS[function](v, *operands))
            for number, target in zip(chain.outputs, targets, strict=True):
                v.store(values[number], target + place)
            for number, product in zip(chain.checked, spoiled, strict=True):
                # 0 as long as all are finite, NaN from then on.
                product.set(v.fma(values[number], zero, product.get()))
    if not spoiled:
        return code.integer(0)
    total = zero
    for product in spoiled:
        total = v.add(total, product.get())
    found = v.across_lanes(code.builder.fadd, total)
    is_spoiled = code.builder.fcmp_unordered("uno", found, found)
    return code.integer(1).choose(is_spoiled, 0)


def _reciprocals(v: Vectors, chain: Chain, scalars: dict[int, Value]) -> dict[int, Value]:
    """Return 1 / x for what does not change within a row and is divided by."""
    one = v.constant(1.0)
    divisors = {terms[1] for function, terms in chain.links if function == "divide"}
    return {
        number: v.divide(one, scalar) for number, scalar in scalars.items() if number in divisors
    }


def _term(v: Vectors, values: list[Value], term: Term) -> Value:
    return v.constant(term) if isinstance(term, float) else values[term]

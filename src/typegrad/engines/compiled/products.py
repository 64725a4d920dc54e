"""Matrix products that keep blocks of their result in registers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from typegrad.engines.compiled.code import Code, Int, Value
from typegrad.engines.compiled.kernel import Kernel
from typegrad.engines.compiled.program import ROWS
from typegrad.engines.compiled.vector import Vectors

# Shapes of blocks, rows by vectors, a table for each width. The sums of the first hide the
# latency of multiply-adds, and leave registers for the factors: 16 sums of 32 registers, 12 of
# 16. The others take what is left over. Where there are few rows, wide blocks keep more sums in
# flight.
TALL_BLOCKS = {
    32: (((8, 2), (4, 2), (2, 2), (1, 2)), ((8, 1), (4, 1), (2, 1), (1, 1))),
    16: (((6, 2), (4, 2), (2, 2), (1, 2)), ((6, 1), (4, 1), (2, 1), (1, 1))),
}
"""By the number of vectors that the processor's registers hold."""

WIDE_BLOCKS = (((2, 4), (1, 4)), ((2, 2), (1, 2)), ((2, 1), (1, 1)))
FEW_ROWS = 4

DOTS = 4
"""Dot products that are summed over lanes together."""

DOTS_ROWS: dict[int, tuple[int, ...]] = {32: (4, 2, 1), 16: (2, 1)}
"""Rows of a block of dot products, by the number of registers."""


def emit_product(module: Any, name: str, bits: int, lanes: int, registers: int) -> None:
    """Write ``out = start + a @ b``.

    The operands are out, a, b and start; the numbers are how many terms each sum has (-1: as
    many as the tile has rows), and the floats from one row of `a` to the next and from one
    column to the next, so that a transposed one needs no copy. What sums begin with, `start`,
    is a bias (stride 0), zeros, or `out` itself. Columns are padded to whole vectors.
    """
    tall_blocks = TALL_BLOCKS[registers]
    shapes = dict.fromkeys(
        shape for tables in (tall_blocks, WIDE_BLOCKS) for table in tables for shape in table
    )
    blocks = {shape: _product_block(module, name, shape, bits, lanes) for shape in shapes}
    code = Kernel(module, name, bits, lanes)
    size = code.v.itemsize
    (out, out_row), (a, _), (b, b_row), (start, start_row) = (code.operand(i) for i in range(4))
    inner, a_row, a_inner = code.number(4), code.number(4, 1) * size, code.number(4, 2) * size
    inner = code.read(code.frame, ROWS).choose(inner < 0, inner)

    def panel(column: Int, table: Sequence[tuple[int, int]]) -> None:
        """Write some columns, from the first row to the last."""
        row = code.variable()
        for shape in table:
            with code.pieces(row, code.rows, shape[0]) as i:
                code.call(
                    blocks[shape],
                    out + i * out_row + column, out_row,
                    start + i * start_row + column, start_row,
                    a + i * a_row, a_row, a_inner, b + column, b_row, inner,
                )  # fmt: skip

    def panels(tables: Sequence[Sequence[tuple[int, int]]]) -> None:
        column = code.variable()
        for table in tables:
            with code.pieces(column, code.columns * size, table[0][1] * lanes * size) as place:
                panel(place, table)

    with code.when(code.rows < FEW_ROWS):
        panels(WIDE_BLOCKS)
        code.leave()
    panels(tall_blocks)
    code.finish()


def _product_block(module: Any, name: str, shape: tuple[int, int], bits: int, lanes: int) -> Any:
    """Write one block of a product; all strides are in bytes."""
    block_rows, block_vectors = shape
    code = Code(module, f"{name}_{block_rows}_{block_vectors}", 10, is_public=False)
    v = Vectors(code, bits, lanes)
    out, out_row, start, start_row, a, a_row, a_inner, b, b_row, inner = code.arguments
    width = lanes * v.itemsize
    cells = [(r, c * width) for r in range(block_rows) for c in range(block_vectors)]
    sums = [v.variable(v.load(start + start_row * r + c)) for r, c in cells]
    a_rows = [a + a_row * r for r in range(block_rows)]
    with code.loop(inner) as k:
        b_place, a_place = b + k * b_row, k * a_inner
        columns = {c: v.load(b_place + c) for _, c in cells[:block_vectors]}
        factors = [v.splat(v.load_one(row + a_place)) for row in a_rows]
        for (r, c), total in zip(cells, sums, strict=True):
            total.set(v.fma(factors[r], columns[c], total.get()))
    for (r, c), total in zip(cells, sums, strict=True):
        v.store(total.get(), out + out_row * r + c)
    return code.finish()


def emit_product_transposed(module: Any, name: str, bits: int, lanes: int, registers: int) -> None:
    """Write ``out = a @ b^T``: each element is a dot product of two rows.

    It goes along the rows of both, which spares a transposed copy of `b`; only the sums over
    lanes make it slower than `emit_product`. The operands are out, a and b; the number says how
    many rows `b` has.
    """
    heights = DOTS_ROWS[registers]
    shapes = [(rows, others) for others in (DOTS, 1) for rows in heights]
    blocks = {shape: _dots_block(module, name, shape, bits, lanes) for shape in shapes}
    code = Kernel(module, name, bits, lanes)
    (out, out_row), (a, a_row), (b, b_row) = (code.operand(i) for i in range(3))
    other = code.variable()
    for others in (DOTS, 1):
        with code.pieces(other, code.number(3), others) as j:
            row = code.variable()
            for rows in heights:
                with code.pieces(row, code.rows, rows) as i:
                    code.call(
                        blocks[rows, others],
                        out + i * out_row + j * code.v.itemsize, out_row,
                        a + i * a_row, a_row, b + j * b_row, b_row, code.columns,
                    )  # fmt: skip
    code.finish()


def _dots_block(module: Any, name: str, shape: tuple[int, int], bits: int, lanes: int) -> Any:
    """Write the dot products of some rows with some others; all strides are in bytes."""
    rows, others = shape
    code = Code(module, f"{name}_{rows}_{others}", 7, is_public=False)
    v = Vectors(code, bits, lanes)
    out, out_row, a, a_row, b, b_row, columns = code.arguments
    zero = v.constant(0.0)
    sums = [[v.variable(zero) for _ in range(others)] for _ in range(rows)]
    whole = columns // lanes * lanes
    end = whole * v.itemsize

    def factors(place: Int) -> tuple[list[Value], list[Value]]:
        left = [v.load(a + a_row * i + place) for i in range(rows)]
        return left, [v.load(b + b_row * j + place) for j in range(others)]

    with code.loop(end, lanes * v.itemsize) as place:
        left, right = factors(place)
        for i, j in product(range(rows), range(others)):
            sums[i][j].set(v.fma(left[i], right[j], sums[i][j].get()))
    with code.when(whole < columns):
        is_real = v.first_lanes(columns - whole)
        left, right = factors(end)
        for i, j in product(range(rows), range(others)):
            last = v.select(is_real, v.multiply(left[i], right[j]), zero)
            sums[i][j].set(v.add(sums[i][j].get(), last))
    for i in range(rows):
        v.store(v.sums([each.get() for each in sums[i]]), out + out_row * i)
    return code.finish()

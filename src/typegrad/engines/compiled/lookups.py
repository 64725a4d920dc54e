"""Kernels of embeddings: rows of a table by number, their sums, and columns by number.

Codes are whole numbers held in floats. For one that is no number of a row, the first row is taken,
and the lookup returns 1: the step has failed, and another engine says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import WORD, Int, Value
from typegrad.engines.compiled.kernel import Kernel


def emit_lookup(module: Any, name: str, bits: int, lanes: int) -> None:
    """Lay a table's rows side by side, one for each of an example's codes.

    The operands are out, codes and table; `columns` is the table's width; the numbers are how
    many rows it has, how many codes an example has, and whether only whole numbers name rows. It
    returns 1 if a code names none.
    """
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, out_row), (table, table_row) = code.operand(0), code.operand(2)
    failed = code.variable()
    is_strict = code.number(3, 2).differs(0)
    with _codes(code, 3) as (row, position, number, is_row, is_whole):
        names_row = code.builder.and_(
            is_row, code.builder.or_(is_whole, code.builder.not_(is_strict))
        )
        with code.when(code.builder.not_(names_row)):
            failed.set(1)
        target = out + row * out_row + position * code.columns * v.itemsize
        source = table + number * table_row

        def copy(first: Int, count: int) -> None:
            shift = first * v.itemsize
            v.store(v.load_some(source + shift, count), target + shift)

        code.in_pieces(copy)
    code.finish(failed.get())


def emit_lookup_sums(module: Any, name: str, bits: int, lanes: int) -> None:
    """Add to a table's rows what belongs to each code: the gradient of `emit_lookup`.

    The operands are the table, codes, gradients that lie side by side, and zeros, or the table
    itself if sums go on; else as there.
    """
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (table, table_row), (gradients, gradients_row) = code.operand(0), code.operand(2)
    start, _ = code.operand(3)
    with code.when(start.differs(table)):
        size = code.number(4) * table_row
        with code.loop(size, lanes * v.itemsize) as place:
            v.store(v.constant(0.0), table + place)
    with _codes(code, 4) as (row, position, number, is_row, _), code.when(is_row):
        source = gradients + row * gradients_row + position * code.columns * v.itemsize
        target = table + number * table_row

        def add(first: Int, count: int) -> None:
            shift = first * v.itemsize
            total, more = (v.load_some(each + shift, count) for each in (target, source))
            v.store(v.add(total, more), target + shift)

        code.in_pieces(add)
    code.finish()


@contextmanager
def _codes(code: Kernel, operands: int) -> Iterator[tuple[Int, Int, Int, Value, Value]]:
    """Write a loop over the second operand's codes; so many operands come before the numbers.

    Gives example, position, the number of the code's row or of the first, whether it has one, and
    whether the code is a whole number.
    """
    v, b = code.v, code.builder
    codes, codes_row = code.operand(1)
    table_rows, per_example = code.number(operands), code.number(operands, 1)
    count = b.sitofp(table_rows.value, v.element)
    below, first = (llvm.ir.Constant(v.element, value) for value in (-1.0, 0.0))
    with code.loop(code.rows) as row, code.loop(per_example) as position:
        value = v.load_one(codes + row * codes_row + position * v.itemsize)
        is_row = b.and_(b.fcmp_ordered(">", value, below), b.fcmp_ordered("<", value, count))
        number = b.fptosi(b.select(is_row, value, first), llvm.I64)
        is_whole = b.fcmp_ordered("==", b.sitofp(number, v.element), value)
        yield row, position, Int(b, number), is_row, is_whole


def emit_take_columns(module: Any, name: str, bits: int, lanes: int) -> None:
    """Take columns by number; operands: out, source; the numbers say which."""
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, out_row), (source, source_row) = code.operand(0), code.operand(1)
    numbers = code.numbers(2)
    with code.loop(code.rows) as row, code.loop(code.columns) as column:
        number = code.read(numbers + column * WORD)
        taken = v.load_one(source + row * source_row + number * v.itemsize)
        v.store_one(taken, out + row * out_row + column * v.itemsize)
    code.finish()

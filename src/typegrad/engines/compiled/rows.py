"""Kernels that go along rows: gathering them, sums and maxima, transposition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import WORD, Code, Int, Value
from typegrad.engines.compiled.kernel import Kernel
from typegrad.engines.compiled.program import ORDER, ORDER_END, THREAD, THREADS
from typegrad.engines.compiled.vector import Vectors

ROWS_AT_ONCE = 8
CACHE_LINE = 64


def emit_gather(
    module: Any, name: str, bits: int, lanes: int, *, has_one_row: bool = False
) -> None:
    """Copy rows of the data into the tile; operands: the tile, the data.

    The frame's order says which rows. `columns` is the data's width. A row of the tile has whole
    vectors, unless it is one float, and becomes zero beyond the data's: who reads a vector need
    not wait until all pieces of it have arrived in the cache. So is a float, where the tile has
    one row; and behind a row that is more is a 1, and zeros: what a bias is multiplied with.
    """
    code = Kernel(module, name, bits, lanes, has_one_row=has_one_row)
    v = code.v
    (tile, tile_row), (data, data_row) = code.operand(0), code.operand(1)
    order = code.read(code.frame, ORDER)
    with code.when(code.columns.equals(1)):
        with code.loop(code.rows) as i:
            number = v.load_one(data + code.read(order + i * WORD) * data_row)
            v.store(v.alone(number) if has_one_row else number, tile + i * tile_row)
        code.leave()
    whole = code.columns // lanes * lanes
    rest, end = code.columns - whole, whole * v.itemsize
    with code.loop(code.rows) as i:
        source, target = data + code.read(order + i * WORD) * data_row, tile + i * tile_row
        with code.loop(end, lanes * v.itemsize) as place:
            v.store(v.load(source + place), target + place)
        with code.when(rest > 0):
            v.store(v.load_first(source + end, rest), target + end)
        if has_one_row:
            v.store(v.alone(llvm.ir.Constant(v.element, 1.0)), target + tile_row)
    code.finish()


def emit_unpad(module: Any, name: str, bits: int, lanes: int) -> None:
    """Copy the tile's rows to where nothing lies between rows; operands: out, the tile."""
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, out_row), (tile, tile_row) = code.operand(0), code.operand(1)

    def copy(first: Int, count: int) -> None:
        shift = first * v.itemsize
        with code.loop(code.rows) as i:
            v.store(v.load_some(tile + i * tile_row + shift, count), out + i * out_row + shift)

    code.in_pieces(copy)
    code.finish()


def emit_prefetch(module: Any, name: str, bits: int, lanes: int) -> None:
    """Have the data's rows for a later tile brought nearer; operand: the data.

    Rows in random order are each waited for, if they come from memory. So is what follows a row up
    to a whole vector, which the processor reads with it. The number is how many rows ahead they
    are (-1: as many as the tile has).
    """
    code = Kernel(module, name, bits, lanes)
    data, data_row = code.operand(0)
    ahead = code.number(1)
    first = code.read(code.frame, ORDER) + code.rows.choose(ahead < 0, ahead) * WORD
    last = first + code.rows * WORD
    vector = lanes * code.v.itemsize
    read = (data_row + (vector - 1)) // vector * vector
    with code.loop(last.min(code.read(code.frame, ORDER_END)), WORD, first) as place:
        row = data + code.read(place) * data_row
        with code.loop(read, CACHE_LINE) as line:
            code.v.prefetch(row + line)
        code.v.prefetch(row + read - 1)  # It may reach into one line more.
    code.finish()


def emit_pack(module: Any, name: str, bits: int, lanes: int) -> None:
    """Lay floats side by side that lie a row apart; operands: out, source."""
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, _), (source, source_row) = code.operand(0), code.operand(1)
    with code.loop(code.rows) as row:
        v.store_one(v.load_one(source + row * source_row), out + row * v.itemsize)
    code.finish()


def emit_zero_ends(module: Any, name: str, bits: int, lanes: int) -> None:
    """Set what lies between a row's end and the next row to zero; operand: the rows.

    Rows are padded to the next whole vector.
    """
    code = Kernel(module, name, bits, lanes)
    v = code.v
    rows, stride = code.operand(0)
    last = stride - lanes * v.itemsize
    is_real = v.first_lanes(code.columns - last // v.itemsize)
    with code.loop(code.rows) as row:
        place = rows + row * stride + last
        v.store(v.select(is_real, v.load(place), v.constant(0.0)), place)
    code.finish()


def emit_outer(module: Any, name: str, bits: int, lanes: int) -> None:
    """out[i, j] = a[i] b[j], and zeros up to the next whole vector; operands: out, a, b.

    The floats of `a` lie as far apart as its stride says. `columns` is the width of b.
    """
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, out_row), (a, a_next), (b, _) = (code.operand(i) for i in range(3))
    zero = v.constant(0.0)
    with code.loop(code.rows) as row:
        factor = v.splat(v.load_one(a + row * a_next))
        with code.loop(code.columns, lanes) as column:
            place = column * v.itemsize
            # Sums of products begin with zero, which makes 0 of -0.
            product = v.fma(factor, v.load(b + place), zero)
            product = v.select(v.first_lanes(code.columns - column), product, zero)
            v.store(product, out + row * out_row + place)
    code.finish()


def emit_row_dots(
    module: Any, name: str, bits: int, lanes: int, *, has_one_row: bool = False
) -> None:
    """out[i] = start[i] + sum_j a[i, j] b[j]; operands: out, a, b, start."""
    code = Kernel(module, name, bits, lanes, has_one_row=has_one_row)
    v = code.v
    (out, _), (a, a_row), (b, _), (start, start_row) = (code.operand(i) for i in range(4))

    def terms(row: Int, place: Int) -> Value:
        return v.multiply(v.load(a + row * a_row + place), v.load(b + place))

    def store(row: Int, total: Value) -> None:
        result = code.builder.fadd(v.load_one(start + row * start_row), total)
        # Who reads a vector then need not wait for the pieces of it.
        v.store(v.alone(result) if has_one_row else result, out + row * v.itemsize)

    _reduce_rows(code, terms, store)
    code.finish()


def emit_row_sums(module: Any, name: str, bits: int, lanes: int) -> None:
    """out[i] = sum_j a[i, j]; operands: out, a."""
    _emit_row_reduction(module, name, bits, lanes, is_maximum=False)


def emit_row_maxima(module: Any, name: str, bits: int, lanes: int) -> None:
    """out[i] = max_j a[i, j], NaN if there is one; operands: out, a."""
    _emit_row_reduction(module, name, bits, lanes, is_maximum=True)


def _emit_row_reduction(module: Any, name: str, bits: int, lanes: int, *, is_maximum: bool) -> None:
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, _), (a, a_row) = code.operand(0), code.operand(1)

    def elements(row: Int, place: Int) -> Value:
        return v.load(a + row * a_row + place)

    def store(row: Int, result: Value) -> None:
        v.store_one(result, out + row * v.itemsize)

    _reduce_rows(code, elements, store, is_maximum=is_maximum)
    code.finish()


def _reduce_rows(
    code: Kernel,
    read: Callable[[Int, Int], Value],
    store: Callable[[Int, Value], None],
    *,
    is_maximum: bool = False,
) -> None:
    """Reduce each row to a float, several rows at once.

    Parameters
    ----------
    read
        Gives the vector at a place (in bytes) of a row.
    store
        Puts a row's result where it belongs.
    is_maximum
        Whether it is the largest element rather than the sum.
    """
    v, builder = code.v, code.builder

    def larger(x: Value, y: Value) -> Value:
        # A comparison with NaN is false, which leaves y; a NaN in x is taken by itself.
        best = builder.select(builder.fcmp_ordered(">", x, y), x, y)
        return builder.select(builder.fcmp_unordered("uno", x, x), x, best)

    combine = larger if is_maximum else builder.fadd
    neutral = v.constant(-math.inf if is_maximum else 0.0)
    whole = code.columns // v.lanes * v.lanes
    end = whole * v.itemsize

    def reduce(first: Int, count: int) -> None:
        results = [(first + i, v.variable(neutral)) for i in range(count)]
        with code.loop(end, v.lanes * v.itemsize) as place:
            for row, result in results:
                result.set(combine(result.get(), read(row, place)))
        with code.when(whole < code.columns):
            is_real = v.first_lanes(code.columns - whole)
            for row, result in results:
                last = v.select(is_real, read(row, end), neutral)
                result.set(combine(result.get(), last))
        for row, result in results:
            store(row, v.across_lanes(combine, result.get()))

    row = code.variable()
    for count in (ROWS_AT_ONCE, 1):
        with code.pieces(row, code.rows, count) as first:
            reduce(first, count)


def emit_column_sums(
    module: Any, name: str, bits: int, lanes: int, *, has_one_row: bool = False
) -> None:
    """out[j] = start[j] + sum_i a[i, j], over columns padded to whole vectors.

    The operands are out, a and start.
    """
    code = Kernel(module, name, bits, lanes, has_one_row=has_one_row)
    v = code.v
    (out, _), (a, a_row), (start, _) = (code.operand(i) for i in range(3))
    width = lanes * v.itemsize
    place = code.variable()
    for count in (4, 1):
        with code.pieces(place, code.columns * v.itemsize, count * width) as first:
            places = [first + i * width for i in range(count)]
            sums = [v.variable(v.load(start + each)) for each in places]
            with code.loop(code.rows) as row:
                for each, total in zip(places, sums, strict=True):
                    total.set(v.add(total.get(), v.load(a + row * a_row + each)))
            for each, total in zip(places, sums, strict=True):
                v.store(total.get(), out + each)
    code.finish()


def emit_total(module: Any, name: str, bits: int, lanes: int, *, has_one_row: bool = False) -> None:
    """out[0] = start[0] + sum_i a[i], over floats that lie side by side, one for each row.

    The operands are out, a and start; the rest of the vector at `out` becomes zero.
    """
    code = Kernel(module, name, bits, lanes, has_one_row=has_one_row)
    v, builder = code.v, code.builder
    (out, _), (a, _), (start, _) = (code.operand(i) for i in range(3))
    whole = code.rows // lanes * lanes
    zero = v.constant(0.0)

    def store(total: Value) -> None:
        v.store(v.alone(builder.fadd(v.load_one(start), total)), out)

    with code.when(code.rows.equals(1)):
        store(v.load_one(a))
        code.leave()
    total = v.variable(zero)
    with code.loop(whole * v.itemsize, lanes * v.itemsize) as place:
        total.set(v.add(total.get(), v.load(a + place)))
    with code.when(whole < code.rows):
        last = v.load(a + whole * v.itemsize)
        total.set(v.add(total.get(), v.select(v.first_lanes(code.rows - whole), last, zero)))
    store(v.across_lanes(builder.fadd, total.get()))
    code.finish()


def emit_transpose(module: Any, name: str, bits: int, lanes: int) -> None:
    """out[j, i] = matrix[i, j]; operands: out, matrix.

    Threads share the work: each takes some of the squares of as many rows as a vector has
    lanes. What does not fill a square goes one by one.
    """
    square = _transpose_square(module, name, bits, lanes)
    code = Kernel(module, name, bits, lanes)
    v = code.v
    (out, out_row), (matrix, row_bytes) = code.operand(0), code.operand(1)
    thread, threads = code.read(code.frame, THREAD), code.read(code.frame, THREADS)
    bands = (code.rows + (lanes - 1)) // lanes
    first, last = bands * thread // threads * lanes, bands * (thread + 1) // threads * lanes
    with code.loop(last, lanes, first) as i, code.loop(code.columns, lanes) as j:
        source = matrix + i * row_bytes + j * v.itemsize
        target = out + j * out_row + i * v.itemsize
        height, width = (code.rows - i).min(lanes), (code.columns - j).min(lanes)
        is_whole = code.builder.and_(height.equals(lanes), width.equals(lanes))
        with code.builder.if_else(is_whole) as (then, otherwise):
            with then:
                code.call(square, target, out_row, source, row_bytes)
            with otherwise, code.loop(height) as ii, code.loop(width) as jj:
                value = v.load_one(source + ii * row_bytes + jj * v.itemsize)
                v.store_one(value, target + jj * out_row + ii * v.itemsize)
    code.finish()


def _transpose_square(module: Any, name: str, bits: int, lanes: int) -> Any:
    """Write the transposition of a square of as many rows as a vector has lanes.

    Each stage exchanges elements between rows whose numbers differ in one bit.
    """
    code = Code(module, f"{name}_square", 4, is_public=False)
    v, builder = Vectors(code, bits, lanes), code.builder
    out, out_row, matrix, row_bytes = code.arguments
    rows = [v.load(matrix + row_bytes * i) for i in range(lanes)]
    index = llvm.ir.VectorType(llvm.I32, lanes)
    step = 1
    while step < lanes:
        low = llvm.ir.Constant(
            index, [j if not j & step else lanes + (j ^ step) for j in range(lanes)]
        )
        high = llvm.ir.Constant(
            index, [j | step if not j & step else lanes + j for j in range(lanes)]
        )
        for i in range(lanes):
            if not i & step:
                a, b = rows[i], rows[i | step]
                rows[i] = builder.shuffle_vector(a, b, low)
                rows[i | step] = builder.shuffle_vector(a, b, high)
        step *= 2
    for i, row in enumerate(rows):
        v.store(row, out + out_row * i)
    return code.finish()

"""Native kernels against NumPy, for sizes that fill no vector and no block."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from typegrad.engines.compiled.callbacks import DONE, FRAME
from typegrad.engines.compiled.chain import ChainBuilder
from typegrad.engines.compiled.compiler import OF_ONE_ROW
from typegrad.engines.compiled.program import FIRST_ROW, KEYS, ORDER, ROWS, TILE_ROWS
from typegrad.layers import Mode
from typegrad.types import Array

from .native_calls import call, padded_rows, prepare

pytestmark = pytest.mark.usefixtures("every_target")

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
SIZES = [1, 2, 3, 7, 8, 9, 16, 17, 33, 100]


def matrix(rows: int, columns: int, dtype: str, seed: int = 0) -> Array:
    values: Array = np.random.default_rng(seed).standard_normal((rows, columns)).astype(dtype)
    return values


def whole(view: Array) -> int:
    """Columns of padded rows."""
    return view.strides[0] // view.itemsize


def assert_close(found: Array, expected: Array, dtype: str) -> None:
    scale = float(np.max(np.abs(expected))) + 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@contextmanager
def unreadable(address: int) -> Iterator[None]:
    """Take the right to read a page of memory for a while."""
    protect = ctypes.CDLL(None).mprotect
    page, size = ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE)
    assert protect(page, size, 0) == 0
    try:
        yield
    finally:
        assert protect(page, size, mmap.PROT_READ | mmap.PROT_WRITE) == 0


@dtypes
@pytest.mark.parametrize("inner", [1, 5, 64])
@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.parametrize("rows", SIZES)
def test_product(rows: int, columns: int, inner: int, dtype: str) -> None:
    a, b = matrix(rows, inner, dtype), matrix(inner, columns, dtype, 1)
    bias = padded_rows(matrix(1, columns, dtype, 2))
    left, right, out = padded_rows(a), padded_rows(b), padded_rows(matrix(rows, columns, dtype))
    call("product", [out, left, right, bias], rows, whole(out), (inner, whole(left), 1))
    assert_close(out, a @ b + bias, dtype)


@dtypes
@pytest.mark.parametrize(("rows", "columns"), [(1, 17), (3, 1), (20, 33)])
def test_product_of_a_transposed_matrix_onto_sums(rows: int, columns: int, dtype: str) -> None:
    examples = 13
    a, b = matrix(examples, rows, dtype), matrix(examples, columns, dtype, 1)
    before = matrix(rows, columns, dtype, 2)
    left, right, out = padded_rows(a), padded_rows(b), padded_rows(before)
    numbers = (-1, 1, whole(left))
    call("product", [out, left, right, out], rows, whole(out), numbers, frame={ROWS: examples})
    assert_close(out, before + a.T @ b, dtype)


@dtypes
@pytest.mark.parametrize("inner", SIZES)
@pytest.mark.parametrize("rows", [1, 4])
def test_product_transposed(rows: int, inner: int, dtype: str) -> None:
    a, b = matrix(rows, inner, dtype), matrix(19, inner, dtype, 1)
    out = padded_rows(matrix(rows, 19, dtype))
    call("product_transposed", [out, padded_rows(a), padded_rows(b)], rows, inner, (19,))
    assert_close(out, a @ b.T, dtype)


@dtypes
@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.parametrize("rows", [1, 8, 11])
def test_rows_to_numbers(rows: int, columns: int, dtype: str) -> None:
    values = matrix(rows, columns, dtype)
    weight, bias = padded_rows(matrix(1, columns, dtype, 1)), np.full(1, 2.0, dtype)
    out: Array = np.zeros(rows, dtype)
    call("row_sums", [out, padded_rows(values)], rows, columns)
    assert_close(out, values.sum(axis=1), dtype)
    call("row_maxima", [out, padded_rows(values)], rows, columns)
    assert np.array_equal(out, values.max(axis=1))
    call("row_dots", [out, padded_rows(values), weight, bias], rows, columns)
    assert_close(out, values @ weight[0] + 2.0, dtype)


@dtypes
def test_maxima_of_what_is_not_finite(dtype: str) -> None:
    values = matrix(4, 20, dtype)
    values[0, 3], values[1, 17], values[2] = np.nan, np.nan, -np.inf
    values[3, 19] = np.inf
    out: Array = np.zeros(4, dtype)
    call("row_maxima", [out, padded_rows(values)], 4, 20)
    np.testing.assert_array_equal(out, values.max(axis=1))


@dtypes
@pytest.mark.parametrize("columns", SIZES)
def test_column_sums(columns: int, dtype: str) -> None:
    values, before = matrix(23, columns, dtype), matrix(1, columns, dtype, 1)
    out = padded_rows(before)
    call("column_sums", [out, padded_rows(values), out], 23, whole(out))
    assert_close(out[0], before[0] + values.sum(axis=0), dtype)


@dtypes
@pytest.mark.parametrize("count", SIZES)
def test_total(count: int, dtype: str) -> None:
    values = padded_rows(matrix(1, count, dtype))
    out = padded_rows(matrix(1, 1, dtype))
    call("total", [out, values, np.full(1, 1.5, dtype)], count, 1)
    assert_close(out[0], np.array([1.5 + values.sum()]), dtype)
    vector = np.lib.stride_tricks.as_strided(out, (1, whole(out)))
    assert not vector[0, 1:].any()


@dtypes
@pytest.mark.parametrize("columns", SIZES)
def test_what_is_for_one_row_does_the_same(columns: int, dtype: str) -> None:
    data, order, start = matrix(30, columns, dtype), np.array([17]), np.full(1, 1.5, dtype)
    row, weight = padded_rows(data[order]), padded_rows(matrix(1, columns, dtype, 1))
    calls = {
        "gather": ([data], columns),
        "row_dots": ([row, weight, start], columns),
        "column_sums": ([row, weight], whole(row)),
        "total": ([row, start], 1),
    }
    assert calls.keys() == OF_ONE_ROW.keys()
    for name, (operands, width) in calls.items():
        found = []
        for kernel in (name, OF_ONE_ROW[name]):
            out = padded_rows(matrix(2, columns, dtype, 2))
            frame = {ORDER: order.ctypes.data, ROWS: 1}
            call(kernel, [out, *operands], TILE_ROWS, width, frame=frame)
            found.append(out[0, : 1 if "row_dots" in kernel else columns].tobytes())
        assert found[0] == found[1], name


@dtypes
@pytest.mark.parametrize("columns", SIZES)
def test_what_is_for_one_row_fills_vectors(columns: int, dtype: str) -> None:
    """With zeros; behind a row of several floats is a 1, for a bias."""
    data, order, start = matrix(30, columns, dtype), np.array([17]), np.full(1, 1.5, dtype)
    weight = padded_rows(matrix(1, columns, dtype, 1))
    frame = {ORDER: order.ctypes.data, ROWS: 1}
    lanes = whole(padded_rows(matrix(1, 1, dtype)))
    row, out = (padded_rows(matrix(2, columns, dtype, 2)) for _ in range(2))
    call(OF_ONE_ROW["gather"], [row, data], TILE_ROWS, columns, frame=frame)
    memory = np.lib.stride_tricks.as_strided(row, (2, whole(row)))
    assert not memory[0, columns:].any()
    if columns > 1:
        assert memory[1, :lanes].tolist() == [1.0] + [0.0] * (lanes - 1)
    call(OF_ONE_ROW["row_dots"], [out, row, weight, start], TILE_ROWS, columns, frame=frame)
    assert not np.lib.stride_tricks.as_strided(out, (1, lanes))[0, 1:].any()


@dtypes
@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.parametrize("rows", SIZES)
def test_transpose(rows: int, columns: int, dtype: str) -> None:
    values = matrix(rows, columns, dtype)
    out = padded_rows(matrix(columns, rows, dtype, 1))
    call("transpose", [out, padded_rows(values)], rows, columns)
    assert np.array_equal(out, values.T)


@dtypes
@pytest.mark.parametrize("columns", [*range(1, 20), 31, 32, 33])
def test_gather(columns: int, dtype: str) -> None:
    values = matrix(30, columns, dtype)
    order = np.array([29, 0, 7, 7])
    out = padded_rows(matrix(4, columns, dtype, 1))
    call("gather", [out, values], 4, columns, frame={ORDER: order.ctypes.data})
    assert np.array_equal(out, values[order])
    if columns > 1:  # A single column's floats lie side by side.
        memory = np.lib.stride_tricks.as_strided(out, (4, whole(out)))
        assert not memory[:, columns:].any()


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@dtypes
@pytest.mark.parametrize("columns", [1, 3, 13, 16, 37])
def test_gather_reads_nothing_beyond_the_data(columns: int, dtype: str) -> None:
    # The system would end the process.
    rows = mmap.PAGESIZE // np.dtype(dtype).itemsize
    memory = mmap.mmap(-1, (columns + 1) * mmap.PAGESIZE)
    values: Array = np.frombuffer(memory, dtype, rows * columns).reshape(rows, columns)
    values[...] = matrix(rows, columns, dtype)
    order = np.array([rows - 1])
    out = padded_rows(matrix(2, columns, dtype, 1))
    with unreadable(values.ctypes.data + values.nbytes):
        call("gather", [out, values], 1, columns, frame={ORDER: order.ctypes.data})
    assert np.array_equal(out[0], values[-1])


@dtypes
@pytest.mark.parametrize("columns", [*range(1, 20), 31, 32, 33])
def test_unpad(columns: int, dtype: str) -> None:
    values = matrix(4, columns, dtype)
    out = matrix(5, columns, dtype, 1)
    after = out[4].copy()
    call("unpad", [out, padded_rows(values)], 4, columns)
    assert np.array_equal(out[:4], values)
    assert np.array_equal(out[4], after)


@dtypes
def test_pack_and_zero_ends(dtype: str) -> None:
    values = matrix(5, 20, dtype)
    rows = padded_rows(values)
    out: Array = np.zeros(5, dtype)
    call("pack", [out, rows[:, 3:]], 5, 1)
    assert np.array_equal(out, values[:, 3])
    call("zero_ends", [rows], 5, 20)
    memory = np.lib.stride_tricks.as_strided(rows, (5, whole(rows)))
    assert not memory[:, 20:].any()
    assert np.array_equal(rows, values)


@dtypes
@pytest.mark.parametrize("columns", [1, 3, 16, 37])
@pytest.mark.parametrize("rows", [1, 5])
def test_outer(rows: int, columns: int, dtype: str) -> None:
    factors, values = matrix(rows, 3, dtype), matrix(1, columns, dtype, 1)
    out, row = padded_rows(matrix(rows, columns, dtype, 2)), padded_rows(values)
    np.lib.stride_tricks.as_strided(row, (1, whole(row)))[0, columns:] = np.nan
    call("outer", [out, factors[:, 1:], row], rows, columns)
    assert np.array_equal(out, factors[:, 1:2] * values)
    memory = np.lib.stride_tricks.as_strided(out, (rows, whole(out)))
    assert not memory[:, columns:].any()


@dtypes
@pytest.mark.parametrize("columns", [1, 16, 37])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.999])
def test_mask(columns: int, rate: float, dtype: str) -> None:
    mode = Mode(True, seed=2**62 + 3, step=5, first_row=1000, path=(3,))
    keys = np.array([0, mode.key()], np.uint64)
    out = padded_rows(matrix(50, columns, dtype))
    threshold = int(np.ceil(rate * 2.0**53))
    frame = {KEYS: keys.ctypes.data, FIRST_ROW: 1000}
    call("mask", [out, np.full(1, 1.5, dtype)], 50, columns, (1, threshold), frame=frame)
    expected = np.where(mode.uniform(50, columns) < rate, 0.0, 1.5)
    assert np.array_equal(out, expected)


@dtypes
@pytest.mark.parametrize("columns", [1, 17, 40])
def test_chain_with_rows_and_columns(columns: int, dtype: str) -> None:
    """Two outputs, one of them where an input lies; a column, a row, and constants."""
    builder = ChainBuilder("vsv")
    centred = builder.link("subtract", 0, 1)
    scaled = builder.link("multiply", centred, 2)
    product = builder.link("divide", builder.link("add", scaled, 0.5), 1)
    chain = builder.finish([centred, product])
    x, row = matrix(9, columns, dtype), matrix(1, columns, dtype, 1)
    column: Array = np.random.default_rng(2).uniform(1.0, 2.0, (9, 1)).astype(dtype)
    tile, out, row_memory = padded_rows(x), padded_rows(x), padded_rows(row)
    call(chain, [tile, out, tile, column, row_memory], 9, whole(tile))
    assert_close(tile, x - column, dtype)
    assert_close(out, ((x - column) * row + 0.5) / column, dtype)


@pytest.mark.parametrize("is_done", [False, True])
def test_callback(is_done: bool) -> None:
    """A call that does not say that it is done has failed, whatever it returns."""
    words = (ctypes.c_int64 * 2)(1, 0)
    found = []

    def function(instruction: int) -> int:
        found.append((ctypes.c_int64.from_address(instruction).value, words[FRAME]))
        words[DONE] = is_done
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(function)
    address = ctypes.cast(callback, ctypes.c_void_p).value or 0
    operand = matrix(1, 8, "float32")
    prepared = prepare("callback", [operand], 1, 8, (address, ctypes.addressof(words)))
    failed = prepared.function(prepared.program.ctypes.data, prepared.fields.ctypes.data)
    assert failed == (not is_done)
    assert found == [(prepared.program[0], prepared.fields.ctypes.data)]


def test_equal_links_are_taken_once() -> None:
    builder = ChainBuilder("v")
    assert builder.link("exp", 0) == builder.link("exp", 0)
    assert builder.link("add", 0, 1.0) != builder.link("add", 0, -1.0)
    assert builder.link("multiply", 0, 0.0) != builder.link("multiply", 0, -0.0)


def test_names_of_chains_differ() -> None:
    def chain(constant: float, forms: str = "v") -> Any:
        builder = ChainBuilder(forms)
        return builder.finish([builder.link("add", 0, constant)])

    names = {chain(0.0).name, chain(-0.0).name, chain(1.0).name, chain(1.0, "s").name}
    assert len(names) == 4

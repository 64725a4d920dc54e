"""The product with a transposed matrix, in the way that takes the least time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from typegrad.types import Array

MOST_ROWS = 64
"""Up to which it matters how the product is computed: with more, all ways take as long."""

LARGE_WEIGHT = 2**16
"""Elements from which on it matters."""

SMALL_RESULT, SMALL_WORK, LONG_SUM = 1200, 1_000_000, 32
"""Most elements of the result, most multiply-adds, and shortest sums for which OpenBLAS reads a
transposed matrix as it lies, on processors with AVX-512 (its `sgemm_small_kernel_permit`)."""

FEWEST_COLUMNS = 96
"""Of a part: with more rows parts have fewer, and the other order gains more by a second core."""


def times_transposed(x: Array, weight: Array) -> Array:
    """Return x @ weight^T for two matrices.

    BLAS rearranges a large transposed matrix, which for a few rows takes longer than the product.
    So it is computed as the transpose of weight @ x^T, or in parts that are small enough for BLAS
    to take the matrix as it is, where it does: see `columns_at_once`. For 8 rows and 512 x 512
    numbers that takes half or a quarter of the time. Other array types take the function through
    NumPy's protocol (NEP 18), as they take NumPy's own.
    """
    given: tuple[Any, Any] = (x, weight)
    for array in given:
        # Subclasses of ndarray that bring no functions of their own, such as memmap, do as it does.
        if type(array).__array_function__ is not np.ndarray.__array_function__:
            result: Array = array.__array_function__(times_transposed, (type(array),), given, {})
            return result
    at_once = columns_at_once(x, weight)
    if at_once == 0:
        return np.ascontiguousarray((weight @ x.T).T)
    if at_once >= len(weight):
        return x @ weight.T
    product = np.empty((len(x), len(weight)), x.dtype)
    for start in range(0, len(weight), at_once):
        part = slice(start, start + at_once)
        np.matmul(x, weight[part].T, product[:, part])
    return product


def columns_at_once(x: Array, weight: Array) -> int:
    """Return how many columns of x @ weight^T are computed at a time.

    All of them by the product itself; 0 if by the transpose of weight @ x^T.
    """
    rows, inner = x.shape
    if not 1 < rows <= MOST_ROWS or weight.size < LARGE_WEIGHT:
        return len(weight)
    has_kernel = x.dtype == weight.dtype and x.dtype.char in "fd" and _has_small_products()
    if has_kernel and inner >= LONG_SUM:
        fitting: int = min(SMALL_RESULT // rows, SMALL_WORK // (rows * inner)) // 16 * 16
        if fitting >= min(FEWEST_COLUMNS, len(weight)):
            return min(fitting, len(weight))
    return 0


@cache
def _has_small_products() -> bool:
    """Whether NumPy's BLAS is OpenBLAS and the processor has AVX-512, by either of its names."""
    # What NumPy found nothing for is left out.
    config: Any = np.show_config(mode="dicts")
    features = config.get("SIMD Extensions", {}).get("found", [])
    blas = config.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return "openblas" in blas and ("AVX512_SKX" in features or "X86_V4" in features)

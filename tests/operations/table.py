"""The table of operations: every operation has a row, and every test runs over the rows.

A new operation needs one row here (samples, bad inputs, an independent reference); the
tests of values, gradients, dtypes, layouts and generated shapes follow from it.
"""

from __future__ import annotations

from . import (
    rows_activations,
    rows_arithmetic,
    rows_elementwise,
    rows_indexing,
    rows_linalg,
    rows_linear,
    rows_reductions,
    rows_selection,
    rows_shape,
)
from .row import Row

ROWS: list[Row] = [
    *rows_arithmetic.ROWS,
    *rows_elementwise.ROWS,
    *rows_selection.ROWS,
    *rows_activations.ROWS,
    *rows_reductions.ROWS,
    *rows_shape.ROWS,
    *rows_indexing.ROWS,
    *rows_linalg.ROWS,
    *rows_linear.ROWS,
]

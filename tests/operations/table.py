"""The table of operations: every operation has a row, and every test runs over the rows.

A new operation needs one row here (samples, bad inputs, an independent reference); the
tests of values, gradients, dtypes, layouts and generated shapes follow from it.
"""

from __future__ import annotations

from . import rows_activations, rows_arithmetic, rows_linear, rows_reductions
from .row import Row

ROWS: list[Row] = [
    *rows_arithmetic.ROWS,
    *rows_activations.ROWS,
    *rows_reductions.ROWS,
    *rows_linear.ROWS,
]

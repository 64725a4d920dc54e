"""Rows of a table, looked up by number."""

from __future__ import annotations

import numpy as np

from typegrad.errors import DataError
from typegrad.operations.base import ParameterOperation
from typegrad.operations.indexing import ScatterAdd
from typegrad.operations.parameter import Parameter
from typegrad.types import Array, IntArray, Shape


class Lookup(ParameterOperation[Array]):
    """Rows of a table: y = table[codes].

    codes: any shape, whole numbers from 0 held in the table's floating dtype;
    table: (rows, width); y: (*codes.shape, width). The codes' gradient is zero.
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        codes, table = input_shapes
        return (*codes, table[1])

    def output(self, x: Array, table: Array) -> Array:
        return table[as_codes(self, x, len(table))]

    def input_grad(self, output_grad: Array, x: Array, y: Array, table: Array) -> Array:
        return np.zeros_like(x)

    def parameter_grads(self, output_grad: Array, x: Array, y: Array, table: Array) -> tuple[Array]:
        return (ScatterAdd(as_codes(self, x, len(table)), table.shape).forward(output_grad),)


class LookupColumns(ParameterOperation[*tuple[Array, ...]]):
    """Replace columns of codes by rows of tables, one table for each of these columns.

    x: (n, features); y: (n, other columns + the tables' widths), the other columns
    first and in their order, then the looked-up rows in the order of `columns`.
    """

    def __init__(self, columns: tuple[int, ...], *tables: Parameter) -> None:
        super().__init__(*tables)
        self.columns = columns

    def output(self, x: Array, *tables: Array) -> Array:
        rows = [
            table[as_codes(self, x[:, column], len(table))]
            for column, table in zip(self.columns, tables, strict=True)
        ]
        others = self._others(x)
        passing = [x[:, others]] if others else []
        return np.concatenate([*passing, *rows], axis=1)

    def input_grad(self, output_grad: Array, x: Array, y: Array, *tables: Array) -> Array:
        others = self._others(x)
        key = (slice(None), np.array(others, np.intp))
        return ScatterAdd(key, x.shape).forward(output_grad[:, : len(others)])

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, *tables: Array
    ) -> tuple[Array, ...]:
        grads: list[Array] = []
        start = len(self._others(x))
        for column, table in zip(self.columns, tables, strict=True):
            codes = as_codes(self, x[:, column], len(table))
            stop = start + table.shape[1]
            grads.append(ScatterAdd(codes, table.shape).forward(output_grad[:, start:stop]))
            start = stop
        return tuple(grads)

    def _others(self, x: Array) -> list[int]:
        return [column for column in range(x.shape[1]) if column not in self.columns]


def as_codes(operation: object, x: Array, count: int) -> IntArray:
    """Whole numbers from 0 to count - 1 as integers, or `DataError` saying which is not."""
    # Codes have no derivative, so of an array that records what is done to it the values do.
    values_of = getattr(x, "numpy", None)
    values: Array = x if values_of is None else values_of()
    with np.errstate(invalid="ignore"):  # what NaN becomes is not equal to it, and is told
        codes: IntArray = values.astype(np.intp)
    bad = (codes != values) | (codes < 0) | (codes >= count)
    if bad.any():
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        raise DataError(
            f"{operation}: the code at {place} is {values[place]}; "
            f"expected a whole number from 0 to {count - 1}"
        )
    return codes

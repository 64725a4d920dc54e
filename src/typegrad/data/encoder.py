"""Tables to matrices that a network can learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from typegrad.data.column import is_number_column, quote
from typegrad.data.encoded_column import (
    CategoryColumn,
    EncodedColumn,
    NumberColumn,
    column_from_dict,
    fields_of,
    fit_column,
)
from typegrad.data.table import Table, unknown_column
from typegrad.errors import DataError, FileFormatError
from typegrad.types import Matrix, Vector

Categories: TypeAlias = Literal["onehot", "embedding"]
"""How categories are encoded."""

_FORMAT = "typegrad.TableEncoder"
_VERSION = 1


class TableEncoder:
    """Turns a table into a matrix of features and a column of targets.

    What it does to each column is learned from training rows alone (`fit`), and then
    the same for every table:

    - A number passes. A gap becomes the median of the training rows; if those had gaps
      in the column, a further matrix column "x is missing" is 1 where there is a gap
      and 0 elsewhere.
    - A category becomes one-hot columns "x=level", sorted by level, and "x is missing" if
      the training rows had gaps. Where a level (or a gap) was not in the training rows,
      all of them are 0.
    - With ``categories="embedding"`` a category becomes one column of codes instead, behind
      all other columns: the sorted levels from 1 on, 0 for a gap or an unknown level.

    Columns are found by name; a table may have others, and another order.

    Made by `fit` or `from_dict`.

    Examples
    --------
    >>> table = Table({"size": [1.0, 2.0, None], "kind": ["b", "a", "b"], "price": [1, 3, 2]})
    >>> encoder = TableEncoder.fit(table, "price")
    >>> encoder.feature_names
    ('size', 'size is missing', 'kind=a', 'kind=b')
    >>> encoder.features(table)
    array([[1. , 0. , 0. , 1. ],
           [2. , 0. , 1. , 0. ],
           [1.5, 1. , 0. , 1. ]])
    >>> encoder.target(table).shape
    (3, 1)
    """

    def __init__(
        self, columns: Iterable[EncodedColumn], target: str | None, categories: Categories
    ) -> None:
        self._columns = tuple(columns)
        self._target = target
        self._categories: Categories = categories
        is_embedding = categories == "embedding"
        self._coded = tuple(
            column
            for column in self._columns
            if is_embedding and isinstance(column, CategoryColumn)
        )
        self._plain = tuple(column for column in self._columns if column not in self._coded)

    @classmethod
    def fit(
        cls, table: Table, target: str | None, *, categories: Categories = "onehot"
    ) -> TableEncoder:
        """Learn from training rows.

        Parameters
        ----------
        table
            Training rows, at least 2. All columns but the target are features.
        target
            Name of the column to predict, of numbers without gaps; None if there is none.
        categories
            ``"onehot"`` or ``"embedding"``, for all columns of categories.

        Raises
        ------
        DataError
            If the target is not in the table, holds text, has gaps or is constant; if
            there is no other column, or one has no value at all, or more different texts
            than one-hot columns are made for; or if there are fewer than 2 rows.
        """
        if categories not in get_args(Categories):
            raise DataError(f"categories is {quote(categories)}; expected 'onehot' or 'embedding'")
        if len(table) < 2:
            raise DataError(
                f"{table.prefix}the table has {len(table)} {'row' if len(table) == 1 else 'rows'}; "
                "training needs at least 2"
            )
        if target is not None:
            _check_not_constant(table, target, _target_values(table, target))
        names = [name for name in table.columns if name != target]
        if not names:
            raise DataError(
                f"{table.prefix}the table has no column beside the target {target!r}; "
                "there is nothing to predict it from"
            )
        one_hot = categories == "onehot"
        return cls([fit_column(table, name, one_hot=one_hot) for name in names], target, categories)

    @property
    def target_name(self) -> str | None:
        """Name of the column to predict, if there is one."""
        return self._target

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns that `features` needs."""
        return tuple(column.name for column in self._columns)

    @property
    def category_names(self) -> tuple[str, ...]:
        """Names of the table's columns that hold categories.

        Pass them to `read_table` as ``categories``, so that levels that look like numbers
        are read as they were.
        """
        return tuple(c.name for c in self._columns if isinstance(c, CategoryColumn))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Name of each matrix column."""
        plain = [name for column in self._plain for name in column.feature_names]
        return (*plain, *(column.name for column in self._coded))

    @property
    def n_features(self) -> int:
        """Number of matrix columns."""
        return len(self.feature_names)

    @property
    def number_columns(self) -> tuple[int, ...]:
        """Indices of the matrix columns that hold numbers.

        These are the ones to standardise; indicators, one-hot columns and codes are not
        among them.
        """
        indices, index = [], 0
        for column in self._plain:
            if isinstance(column, NumberColumn):
                indices.append(index)
            index += len(column.feature_names)
        return tuple(indices)

    @property
    def category_columns(self) -> dict[int, int]:
        """Index of each matrix column of codes -> number of codes, for `Embedding`.

        Codes are whole numbers from 0 (missing or unknown) to that number less 1. Empty
        with one-hot columns.
        """
        first = self.n_features - len(self._coded)
        return {first + i: len(column.levels) + 1 for i, column in enumerate(self._coded)}

    def features(self, table: Table) -> Matrix:
        """Encode the features of a table.

        Parameters
        ----------
        table
            Rows with the columns that `fit` saw; others are ignored.

        Returns
        -------
        numpy.ndarray
            float64 of shape (rows, n_features), without NaN.

        Raises
        ------
        DataError
            If a column is missing, or has text where training rows had numbers, or numbers
            where they had text.
        """
        for column in self._columns:
            if column.name not in table:
                raise DataError(
                    f"{table.prefix}{unknown_column(column.name, table.columns)}; "
                    "it was there when the encoder was fitted"
                )
        parts = [column.features(table) for column in self._plain]
        parts += [column.codes(table)[:, np.newaxis].astype(np.float64) for column in self._coded]
        return np.concatenate(parts, axis=1)

    def target(self, table: Table) -> Matrix:
        """Return the target of a table.

        Returns
        -------
        numpy.ndarray
            float64 of shape (rows, 1).

        Raises
        ------
        DataError
            If the encoder has no target, or the column is missing, holds text or has gaps.
        """
        if self._target is None:
            raise DataError("this encoder was fitted without a target; fit it with one")
        return _target_values(table, self._target)[:, np.newaxis].copy()

    def describe(self) -> str:
        """Text with a line per column: what becomes of it."""
        lines = [column.describe() for column in self._columns]
        if self._target is not None:
            lines.append(f"{self._target}: target")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Give everything that was learned, in JSON's types, for `from_dict`."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "target": self._target,
            "categories": self._categories,
            "columns": [column.to_dict() for column in self._columns],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableEncoder:
        """Make an encoder of what `to_dict` gave.

        Raises
        ------
        FileFormatError
            If the data cannot come from `to_dict`; says which field is wrong.
        """
        place = "the encoder"
        fields = fields_of(data, {"format", "version", "target", "categories", "columns"}, place)
        for name, expected in (("format", _FORMAT), ("version", _VERSION)):
            if fields[name] != expected:
                raise FileFormatError(
                    f"{place}: {name} is {quote(fields[name])}; expected {expected!r}"
                )
        target, categories, saved = fields["target"], fields["categories"], fields["columns"]
        if not (target is None or (isinstance(target, str) and target)):
            raise FileFormatError(f"{place}: target is {quote(target)}; expected a text or null")
        if categories not in get_args(Categories):
            raise FileFormatError(
                f"{place}: categories is {quote(categories)}; expected 'onehot' or 'embedding'"
            )
        if not isinstance(saved, list) or not saved:
            raise FileFormatError(
                f"{place}: columns is {quote(saved)}; expected a list of at least one"
            )
        columns = [
            column_from_dict(column, f"{place}: column {position}")
            for position, column in enumerate(saved, start=1)
        ]
        names = [column.name for column in columns]
        if len({*names, target}) <= len(names):
            raise FileFormatError(f"{place}: names of columns and target are not all different")
        return cls(columns, target, categories)


def _target_values(table: Table, target: str) -> Vector:
    """Return the target, or say why it cannot be one."""
    if target not in table:
        raise DataError(f"{table.prefix}the target: {unknown_column(target, table.columns)}")
    values = table[target]
    if not is_number_column(values):
        texts = values.tolist()
        row = next(row for row, text in enumerate(texts) if text is not None)
        raise DataError(
            f"{table.place(row)}, column {target!r}: the target is text, {quote(texts[row])}; "
            "regression predicts numbers"
        )
    gaps = np.flatnonzero(np.isnan(values))
    if gaps.size:
        raise DataError(
            f"{table.place(int(gaps[0]))}, column {target!r}: the target is missing here, in "
            f"{gaps.size} of {len(table)} rows altogether; remove these rows or fill them"
        )
    return values


def _check_not_constant(table: Table, target: str, values: Vector) -> None:
    if values.min() == values.max():
        raise DataError(
            f"{table.prefix}the target {target!r} is {values[0]:g} in all {len(table)} rows; "
            "there is nothing to learn"
        )

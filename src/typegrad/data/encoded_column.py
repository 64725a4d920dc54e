"""How one column of a table becomes columns of a matrix: numbers and categories."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from typegrad.data.column import category_levels, is_number_column, quote
from typegrad.data.table import Table
from typegrad.errors import DataError, FileFormatError
from typegrad.types import AnyArray, IntArray, Matrix, Vector

MAX_ONE_HOT_LEVELS = 1_000
"""More levels than this are refused for one-hot: a number per level and row is too much."""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers; gaps get the median, and an indicator if training rows had gaps.

    Attributes
    ----------
    name
        The column's name.
    median
        Median of the training rows' numbers.
    has_gaps
        Whether a training row had a gap.
    """

    name: str
    median: float
    has_gaps: bool

    @classmethod
    def fit(cls, table: Table, name: str) -> NumberColumn:
        """Learn from the training rows; the column has at least one number."""
        values = table[name]
        gaps = np.isnan(values)
        return cls(name, float(np.median(values[~gaps])), bool(gaps.any()))

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns."""
        return [self.name, f"{self.name} is missing"] if self.has_gaps else [self.name]

    def features(self, table: Table) -> Matrix:
        """Matrix columns of a table's rows, float64 of shape (rows, 1 or 2)."""
        values = numbers_of(table, self.name)
        gaps = np.isnan(values)
        filled = np.where(gaps, self.median, values)
        return np.stack([filled, gaps.astype(np.float64)] if self.has_gaps else [filled], axis=1)

    def describe(self) -> str:
        """Say in a line what becomes of the column."""
        indicator = ", with an indicator of gaps" if self.has_gaps else ""
        return f"{self.name}: number, gaps become {self.median:g}{indicator}"

    def to_dict(self) -> dict[str, Any]:
        """Give the fields in JSON's types."""
        return {
            "name": self.name, "kind": "number", "median": self.median, "has_gaps": self.has_gaps
        }  # fmt: skip


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories, as one-hot columns or as a code.

    Attributes
    ----------
    name
        The column's name.
    levels
        The training rows' texts, sorted.
    has_gaps
        Whether a training row had a gap; only then a gap is a level of its own.
    """

    name: str
    levels: tuple[str, ...]
    has_gaps: bool

    @classmethod
    def fit(cls, table: Table, name: str) -> CategoryColumn:
        """Learn the levels of the training rows."""
        values = table[name]
        return cls(name, tuple(category_levels(values)), None in values.tolist())

    @property
    def feature_names(self) -> list[str]:
        """Names of the one-hot columns."""
        names = [f"{self.name}={level}" for level in self.levels]
        return [*names, f"{self.name} is missing"] if self.has_gaps else names

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        return {level: code for code, level in enumerate(self.levels, start=1)}

    def codes(self, table: Table) -> IntArray:
        """Code of each row, of shape (rows,): levels from 1 on, 0 for gaps and unknown texts."""
        texts = texts_of(table, self.name).tolist()
        return np.fromiter((self._codes.get(text, 0) for text in texts), np.int64, len(texts))

    def features(self, table: Table) -> Matrix:
        """One-hot columns, float64 of shape (rows, levels); all zero for an unknown text."""
        codes = self.codes(table)
        features = np.zeros((len(codes), len(self.feature_names)))
        known = np.flatnonzero(codes)
        features[known, codes[known] - 1] = 1.0
        if self.has_gaps:
            gaps = [text is None for text in texts_of(table, self.name).tolist()]
            features[:, -1] = gaps
        return features

    def describe(self) -> str:
        """Say in a line what becomes of the column."""
        count = f"{len(self.levels)} {'level' if len(self.levels) == 1 else 'levels'}"
        return f"{self.name}: category of {count}" + (" and gaps" if self.has_gaps else "")

    def to_dict(self) -> dict[str, Any]:
        """Give the fields in JSON's types."""
        return {
            "name": self.name, "kind": "category",
            "levels": list(self.levels), "has_gaps": self.has_gaps,
        }  # fmt: skip


EncodedColumn = NumberColumn | CategoryColumn


def fit_column(table: Table, name: str, *, one_hot: bool) -> EncodedColumn:
    """Learn a feature column from training rows, or say why it cannot be one."""
    values = table[name]
    if is_number_column(values):
        if np.isnan(values).all():
            raise DataError(f"{table.prefix}column {name!r} has no value in any row; leave it out")
        return NumberColumn.fit(table, name)
    column = CategoryColumn.fit(table, name)
    if one_hot and len(column.levels) > MAX_ONE_HOT_LEVELS:
        raise DataError(
            f"{table.prefix}column {name!r} has {len(column.levels)} different texts; one-hot "
            f"takes up to {MAX_ONE_HOT_LEVELS}: leave the column out, or encode categories as "
            "'embedding'"
        )
    return column


def numbers_of(table: Table, name: str) -> Vector:
    """Return a column that was numeric when the encoder was fitted."""
    values = table[name]
    if is_number_column(values):
        return values
    texts = values.tolist()
    row = next(row for row, text in enumerate(texts) if text is not None)
    raise DataError(
        f"{table.place(row)}, column {name!r}: {quote(texts[row])} is text, "
        "but the column had numbers when the encoder was fitted"
    )


def texts_of(table: Table, name: str) -> AnyArray:
    """Return a column that held categories when the encoder was fitted."""
    values = table[name]
    if not is_number_column(values):
        return values
    present = np.flatnonzero(~np.isnan(values))
    if present.size:
        row = int(present[0])
        raise DataError(
            f"{table.place(row)}, column {name!r}: {values[row]:g} is a number, but the column "
            "had categories when the encoder was fitted; "
            f"read it as one: read_table(path, categories=[{name!r}])"
        )
    return np.full(values.shape, None, dtype=object)  # gaps alone have no type of their own


def column_from_dict(data: object, place: str) -> EncodedColumn:
    """Make a column of what `to_dict` gave; everything is checked.

    Raises
    ------
    FileFormatError
        If it cannot come from `to_dict`.
    """
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind == "number":
        fields = fields_of(data, {"name", "kind", "median", "has_gaps"}, place)
        median = fields["median"]
        if isinstance(median, bool) or not isinstance(median, (int, float)):
            raise FileFormatError(f"{place}: median is {quote(median)}; expected a number")
        if not abs(median) <= sys.float_info.max:  # also False for NaN
            raise FileFormatError(f"{place}: median is {quote(median)}; expected a finite number")
        return NumberColumn(_name(fields, place), float(median), _has_gaps(fields, place))
    if kind == "category":
        fields = fields_of(data, {"name", "kind", "levels", "has_gaps"}, place)
        return CategoryColumn(
            _name(fields, place), _levels(fields, place), _has_gaps(fields, place)
        )
    raise FileFormatError(f"{place}: kind is {quote(kind)}; expected 'number' or 'category'")


def fields_of(data: object, names: set[str], place: str) -> Mapping[str, Any]:
    """Check that JSON data is an object of exactly these fields."""
    if not isinstance(data, dict):
        raise FileFormatError(f"{place} is a {type(data).__name__}; expected an object")
    if set(data) != names:
        given = ", ".join(sorted(quote(name) for name in data))
        raise FileFormatError(
            f"{place} has the fields {given:.200}; expected {', '.join(sorted(names))}"
        )
    return data


def _name(fields: Mapping[str, Any], place: str) -> str:
    name = fields["name"]
    if not isinstance(name, str) or not name:
        raise FileFormatError(f"{place}: name is {quote(name)}; expected a text")
    return name


def _has_gaps(fields: Mapping[str, Any], place: str) -> bool:
    has_gaps = fields["has_gaps"]
    if not isinstance(has_gaps, bool):
        raise FileFormatError(f"{place}: has_gaps is {quote(has_gaps)}; expected true or false")
    return has_gaps


def _levels(fields: Mapping[str, Any], place: str) -> tuple[str, ...]:
    levels = fields["levels"]
    is_list = isinstance(levels, list) and all(isinstance(level, str) for level in levels)
    if not is_list or not levels or sorted(set(levels)) != levels:
        raise FileFormatError(
            f"{place}: levels are {quote(levels)}; expected different texts in sorted order"
        )
    return tuple(levels)

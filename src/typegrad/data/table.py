"""A small table in columns: numbers and categories, with gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np

from typegrad.data.column import as_column, category_levels, is_number_column, quote
from typegrad.errors import DataError
from typegrad.types import AnyArray, IntArray

_LEVELS_SHOWN = 4


class DataFrameLike(Protocol):
    """What `Table.from_dataframe` needs of a data frame; pandas and Polars have it."""

    @property
    def columns(self) -> Any:
        """Names of the columns; Any, since pyright takes pandas' for no iterable."""

    def __getitem__(self, name: Any, /) -> Any:
        """One column."""


def unknown_column(name: str, columns: Iterable[str]) -> str:
    """Say that a column is not there, what is, and which one may have been meant."""
    known = list(columns)
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    lowered = [other for other in known if other.lower() == name.lower()]
    meant = lowered or close
    hint = f" (did you mean {' or '.join(repr(other) for other in meant)}?)" if meant else ""
    return f"no column {name!r}{hint}; the columns are {', '.join(known)}"


class Table:
    """Columns of equal length, each of numbers or of categories.

    A column of numbers is a float64 array with NaN for gaps; a column of categories an
    object array of str with None for gaps. Arrays are copies and read-only. Every method
    gives a new table.

    Parameters
    ----------
    columns
        Name -> values, or pairs of them. Values are one-dimensional: numbers, texts or
        booleans (which become the categories "True" and "False"). Integers beyond 2**53
        lose digits.
    source
        Where the table is from, for messages: usually the file's name.
    row_numbers
        What to call each row in messages, e.g. lines of the file; counts from 1 if None.

    Raises
    ------
    DataError
        If there is no column, a name is repeated, empty or not text, lengths differ, or
        values are mixed, infinite or of another type.

    Examples
    --------
    >>> table = Table({"height": [1.5, 1.8, None], "colour": ["red", None, "blue"]})
    >>> table
    Table(3 rows x 2 columns: height, colour)
    >>> table["height"]
    array([1.5, 1.8, nan])
    >>> table.select(["colour"]).take([0, 2])["colour"]
    array(['red', 'blue'], dtype=object)
    """

    def __init__(
        self,
        columns: Mapping[str, object] | Iterable[tuple[str, object]],
        *,
        source: str | None = None,
        row_numbers: IntArray | None = None,
    ) -> None:
        if hasattr(columns, "iloc"):
            raise DataError("Table got a data frame; Table.from_dataframe(frame) takes one")
        pairs: list[tuple[str, object]] = list(
            columns.items() if isinstance(columns, Mapping) else columns
        )
        self._source = source
        _check_names([name for name, _ in pairs], self.prefix)
        self._row_numbers = row_numbers
        self._columns: dict[str, AnyArray] = {
            name: as_column(name, values, self.place) for name, values in pairs
        }
        self._check_lengths()

    @classmethod
    def from_dict(cls, columns: Mapping[str, object]) -> Table:
        """Make a table of a dictionary name -> values; the same as ``Table(columns)``."""
        return cls(columns)

    @classmethod
    def from_dataframe(cls, frame: DataFrameLike, *, source: str | None = None) -> Table:
        """Make a table of a pandas (or Polars) data frame; its index is left out.

        Columns of pandas' dtype ``category`` are categories, whatever their values are.

        Raises
        ------
        DataError
            As the constructor does; also for names that are not text.
        """
        names = list(frame.columns)
        _check_names(names, "" if source is None else f"{source}: ")
        return cls({name: _series_values(frame[name]) for name in names}, source=source)

    def _check_lengths(self) -> None:
        lengths = {name: len(column) for name, column in self._columns.items()}
        first, rows = next(iter(lengths.items()))
        for name, length in lengths.items():
            if length != rows:
                raise DataError(
                    f"column {name!r} has {length} rows, but column {first!r} has {rows}; "
                    "all columns of a table have the same length"
                )
        if self._row_numbers is not None and self._row_numbers.shape != (rows,):
            raise DataError(
                f"row_numbers has shape {self._row_numbers.shape}; the table needs ({rows},)"
            )

    def _with(self, columns: dict[str, AnyArray], row_numbers: IntArray | None) -> Table:
        """Make a table of columns that are checked already."""
        table = Table.__new__(Table)
        table._source = self._source
        table._row_numbers = row_numbers
        table._columns = columns
        return table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self._columns)

    @property
    def source(self) -> str | None:
        """Where the table is from, if that is known."""
        return self._source

    @property
    def prefix(self) -> str:
        """Start of a message about the table: ``"data.csv: "``, or nothing without a source."""
        return "" if self._source is None else f"{self._source}: "

    def place(self, row: int) -> str:
        """Say where a row is: ``"data.csv: row 17"``, or ``"row 17"`` without a source.

        The number is the line in the file for a table that was read from text, and
        otherwise the row counted from 1. Tables made by `take` and `split` keep it.
        """
        number = row + 1 if self._row_numbers is None else int(self._row_numbers[row])
        return f"row {number}" if self._source is None else f"{self._source}: row {number}"

    def is_number(self, name: str) -> bool:
        """Whether a column holds numbers; otherwise it holds categories."""
        return is_number_column(self[name])

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> AnyArray:
        if name not in self._columns:
            raise DataError(f"{self.prefix}{unknown_column(name, self._columns)}")
        return self._columns[name]

    def __repr__(self) -> str:
        names = ", ".join(self._columns)
        return f"Table({len(self)} rows x {len(self._columns)} columns: {names})"

    def select(self, names: Iterable[str]) -> Table:
        """Keep these columns, in this order."""
        kept = list(names)
        _check_names(kept, self.prefix)
        return self._with({name: self[name] for name in kept}, self._row_numbers)

    def drop(self, names: Iterable[str]) -> Table:
        """Leave out these columns."""
        dropped = set(names)
        for name in dropped:
            self[name]  # complains about a name that is not there
        return self.select(name for name in self._columns if name not in dropped)

    def take(self, indices: IntArray | Iterable[int]) -> Table:
        """Keep the rows at these positions (counted from 0), in this order.

        Raises
        ------
        DataError
            If an index is not an integer or lies outside of the table.
        """
        chosen = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices))
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise DataError(
                f"take got indices of shape {chosen.shape} and dtype {chosen.dtype}; "
                "it expects one-dimensional integers"
            )
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            wrong = chosen[(chosen < 0) | (chosen >= len(self))][0]
            raise DataError(f"take got row {wrong}; the table has rows 0 to {len(self) - 1}")
        columns = {name: column[chosen] for name, column in self._columns.items()}
        for column in columns.values():
            column.setflags(write=False)
        numbers = chosen + 1 if self._row_numbers is None else self._row_numbers[chosen]
        return self._with(columns, numbers)

    def split(self, fraction: float, seed: int | np.random.Generator) -> tuple[Table, Table]:
        """Shuffle the rows and part them in two.

        Parameters
        ----------
        fraction
            Share of the rows in the second table, above 0 and below 1; the number of
            rows is rounded to the nearest.
        seed
            Seed of the shuffle, or a generator.

        Returns
        -------
        rest, part
            Two tables that share no row and together hold every row.

        Raises
        ------
        DataError
            If the fraction is not between 0 and 1, or one of the tables would be empty.
        """
        if not 0.0 < fraction < 1.0:
            raise DataError(f"split got fraction {fraction}; it must be above 0 and below 1")
        rows = len(self)
        size = int(fraction * rows + 0.5)
        if size in {0, rows}:
            raise DataError(
                f"splitting {rows} {'row' if rows == 1 else 'rows'} with fraction {fraction} "
                f"leaves {rows - size} and {size}; both parts need at least one row"
            )
        order = np.random.default_rng(seed).permutation(rows)
        return self.take(order[size:]), self.take(order[:size])

    def describe(self) -> str:
        """Text with a line per column: name, type, gaps, and range or categories."""
        header = ("column", "type", "missing", "values")
        lines = [header, *(self._summary(name) for name in self._columns)]
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {gaps:>{widths[2]}}  {values}"
            for name, kind, gaps, values in lines
        )

    def _summary(self, name: str) -> tuple[str, str, str, str]:
        column = self._columns[name]
        if is_number_column(column):
            present = column[~np.isnan(column)]
            values = f"{present.min():g} to {present.max():g}" if present.size else "none"
            return name, "number", str(column.size - present.size), values
        gaps = column.tolist().count(None)
        return name, "category", str(gaps), _list_levels(category_levels(column))


def _list_levels(levels: list[str]) -> str:
    shown = ", ".join(_show(level) for level in levels[:_LEVELS_SHOWN])
    more = ", ..." if len(levels) > _LEVELS_SHOWN else ""
    return f"{len(levels)} {'level' if len(levels) == 1 else 'levels'}: {shown}{more}"


def _show(level: str) -> str:
    """Show a level as it is, but in quotes where it would not be told from its neighbours."""
    quoted = quote(level)
    return level if quoted[1:-1] == level and "," not in level else quoted


def _check_names(names: list[Any], prefix: str) -> None:
    if not names:
        raise DataError(f"{prefix}a table needs at least one column")
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise DataError(
                f"{prefix}column name {name!r} is of type {type(name).__name__}; "
                "names of columns are text"
            )
        if not name:
            raise DataError(f"{prefix}column {position + 1} has an empty name")
        if name in names[:position]:
            raise DataError(
                f"{prefix}column name {name!r} is given twice (columns {names.index(name) + 1} "
                f"and {position + 1}); names of columns are unique"
            )


def _series_values(series: Any) -> Any:
    if str(series.dtype) != "category":
        return series.to_numpy()
    return [
        str(value) if there else None for value, there in zip(series, series.notna(), strict=True)
    ]

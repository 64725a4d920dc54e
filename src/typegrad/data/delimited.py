"""Text with delimiters (CSV, TSV) to a table, with errors that name the place."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

import numpy as np

from typegrad.data.column import quote, text_column
from typegrad.data.table import Table, unknown_column
from typegrad.errors import DataError
from typegrad.types import AnyArray, Vector

MISSING: Final = frozenset(
    {"", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "?"}
)
"""Cells that mean a gap, after spaces around them are removed."""

_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 65_536
_SNIFFED_RECORDS = 50
_CHUNK_RECORDS = 512  # small, so that a chunk's cells stay in the processor's cache
_CELL_SEPARATOR = "\0"  # in no cell: a file with NUL bytes is refused
_NUMBER_WITH_COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d*)?")


def parse_delimited(
    data: bytes,
    name: str,
    *,
    delimiter: str | None = None,
    categories: Collection[str] = (),
) -> Table:
    """Make a table of the bytes of a delimited text file.

    Parameters
    ----------
    data
        UTF-8 text, with or without a byte order mark; its first record is the header.
    name
        The file's name, for messages.
    delimiter
        One character; the most plausible of comma, semicolon, tab and bar if None.
    categories
        Columns that hold categories even where their cells look like numbers.

    Raises
    ------
    DataError
        If the text cannot be read as a table; says the row (line in the file) and column.
    """
    _check_text(data, name)
    chosen = _sniff_delimiter(data) if delimiter is None else delimiter
    records = _records(data, name, chosen)
    header = _read_header(records, name)
    for category in categories:
        if category not in header:
            raise DataError(f"{name}: {unknown_column(category, header)}")
    columns = [_ColumnReader(column, column in categories) for column in header]
    lines: list[int] = []
    while chunk := list(islice(records, _CHUNK_RECORDS)):
        for line, cells in chunk:
            if len(cells) != len(header):
                raise DataError(
                    f"{name}: row {line} has {len(cells)} fields; "
                    f"expected {len(header)}, as in the header"
                )
            lines.append(line)
        for reader, cells_of_column in zip(
            columns, zip(*(cells for _, cells in chunk), strict=True), strict=True
        ):
            reader.add(cells_of_column)
    if not lines:
        raise DataError(f"{name} has a header but no rows")
    table = {reader.name: reader.finish(name, lines) for reader in columns}
    return Table(table, source=name, row_numbers=np.array(lines))


def _check_text(data: bytes, name: str) -> None:
    if b"\0" in data:
        raise DataError(
            f"{name} is not UTF-8 text (it holds NUL bytes); if it is text, save it as UTF-8"
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}: row {line} is not UTF-8 text (byte 0x{data[error.start]:02x}); "
            "save the file as UTF-8"
        ) from error


def _sniff_delimiter(data: bytes) -> str:
    """Pick the delimiter that parts the first records into the most fields, evenly."""
    start = data[:_SNIFFED_BYTES].decode("utf-8-sig", errors="replace")
    lines = io.StringIO(start, newline="").readlines()
    if len(data) > _SNIFFED_BYTES and len(lines) > 1:
        lines.pop()  # cut off in the middle

    def plausibility(delimiter: str) -> tuple[bool, int]:
        records = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        widths = [len(cells) for cells in islice(records, _SNIFFED_RECORDS) if cells]
        most = max(widths, default=1)
        even = most > 1 and min(widths) == most
        return even, widths[0] if widths else 1

    return max(_DELIMITERS, key=plausibility)


def _records(data: bytes, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give each record that is not blank, with the line of the file that it starts on."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{name}: row {line} cannot be parsed: {error}; is a quote left open?"
        ) from error


def _read_header(records: Iterator[tuple[int, list[str]]], name: str) -> list[str]:
    line, cells = next(records, (0, []))
    header = [cell.strip() for cell in cells]
    if not header:
        raise DataError(f"{name} is empty")
    numbers = [_to_number(cell) for cell in header]
    if None not in numbers and not np.isnan(np.array(numbers, dtype=np.float64)).all():
        raise DataError(
            f"{name}: row {line} holds numbers ({quote(header[0])}, ...) where the header with "
            "the columns' names is expected; add one"
        )
    for position, column in enumerate(header):
        if not column:
            raise DataError(
                f"{name}: row {line}: column {position + 1} of {len(header)} has no name; "
                "name it or remove it"
            )
    column, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"{name}: row {line}: {count} columns are named {column!r}; names must differ"
        )
    return header


def _to_number(cell: str) -> float | None:
    """Read a cell: its number, NaN if it means a gap, None if it is text."""
    if cell.strip() in MISSING:
        return float("nan")
    if "_" in cell:  # Python's float reads 1_000; files of data don't mean it
        return None
    try:
        return float(cell)
    except ValueError:
        return None


class _ColumnReader:
    """Takes the cells of one column, a chunk at a time, and decides what they are.

    What a column is can be known at its end only, so both the numbers and the texts
    are kept; a chunk's texts as one string, which is small.
    """

    def __init__(self, name: str, is_category: bool) -> None:
        self.name = name
        self._is_category = is_category
        self._texts: list[str] = []
        self._numbers: list[Vector] = []
        self._rows = 0
        self._text_cells = 0
        self._first_text_row = 0

    def add(self, cells: tuple[str, ...]) -> None:
        """Take the next cells."""
        text = _CELL_SEPARATOR.join(cells)
        self._texts.append(text)
        if not self._is_category:
            self._numbers.append(self._read_numbers(cells, text))
        self._rows += len(cells)

    def _read_numbers(self, cells: tuple[str, ...], text: str) -> Vector:
        if "_" not in text:
            try:
                return np.fromiter(map(float, cells), np.float64, len(cells))
            except ValueError:
                pass  # a gap or a text: read each different cell with care
        numbers = {cell: _to_number(cell) for cell in set(cells)}
        found = [numbers[cell] for cell in cells]
        text_cells = found.count(None)
        if text_cells and not self._text_cells:
            self._first_text_row = self._rows + found.index(None)
        self._text_cells += text_cells
        return np.array(found, dtype=np.float64)  # None becomes NaN

    def finish(self, file: str, lines: list[int]) -> AnyArray:
        """Return the column, given the line of each row for messages."""
        if self._is_category:
            return self._categories()
        numbers = np.concatenate(self._numbers)
        self._check_numbers(numbers, file, lines)
        if not self._text_cells:
            return numbers
        return self._categories()

    def _check_numbers(self, numbers: Vector, file: str, lines: list[int]) -> None:
        count = int(np.count_nonzero(~np.isnan(numbers)))
        if self._text_cells:
            row = self._first_text_row
            place = f"{file}: row {lines[row]}, column {self.name!r}: {quote(self._cell(row))}"
            if count >= 3 and count > 9 * self._text_cells:
                raise DataError(
                    f"{place} is not a number, but {count} of the column's "
                    f"{count + self._text_cells} cells are; correct it or leave it empty"
                )
            if self._all_texts_are_numbers_with_commas():
                raise DataError(
                    f"{place} is a number written with a comma; "
                    "write decimals with a point and thousands without a mark"
                )
            return
        infinite = np.isinf(numbers)
        if infinite.any():
            row = int(infinite.argmax())
            raise DataError(
                f"{file}: row {lines[row]}, column {self.name!r}: {quote(self._cell(row))} "
                "is not a finite number; correct it or leave it empty"
            )

    def _cells(self) -> Iterator[str]:
        for text in self._texts:
            yield from text.split(_CELL_SEPARATOR)

    def _cell(self, row: int) -> str:
        return next(islice(self._cells(), row, None)).strip()

    def _all_texts_are_numbers_with_commas(self) -> bool:
        return all(
            _NUMBER_WITH_COMMAS.fullmatch(cell.strip())
            for cell in set(self._cells())
            if _to_number(cell) is None
        )

    def _categories(self) -> AnyArray:
        levels = {cell: cell.strip() for cell in set(self._cells())}
        texts = {cell: None if text in MISSING else text for cell, text in levels.items()}
        return text_column([texts[cell] for cell in self._cells()])

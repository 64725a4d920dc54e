"""Files of data to tables: CSV, TSV and Parquet."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection
from os import PathLike
from pathlib import Path

from typegrad.data.delimited import parse_delimited
from typegrad.data.parquet import parse_parquet
from typegrad.data.table import Table
from typegrad.errors import DataError

_DELIMITERS = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_PARQUET = {".parquet", ".pq"}


def read_table(
    path: str | PathLike[str],
    *,
    delimiter: str | None = None,
    categories: Collection[str] = (),
) -> Table:
    r"""Read a table from a CSV, TSV or Parquet file.

    The suffix says what the file is: ``.csv``, ``.tsv`` or ``.tab``, each also with
    ``.gz`` behind it, ``.parquet`` or ``.pq``. Text is UTF-8 and starts with a header.
    A column is numeric if every cell that is not missing is a number, otherwise it holds
    categories. These cells are missing: empty ones, ``NA``, ``N/A``, ``NaN``, ``null``,
    ``None`` and ``?``. Blank lines are skipped.

    Parameters
    ----------
    path
        The file.
    delimiter
        One character between the fields. If None, that of the suffix; for ``.csv`` the
        most plausible of comma, semicolon, tab and bar. With a delimiter, a text file may
        have any suffix.
    categories
        Columns to take as categories even where their cells look like numbers, such as
        postal codes.

    Returns
    -------
    Table
        With the file's name as `source` and its lines as row numbers.

    Raises
    ------
    DataError
        If the file cannot be opened, is not of its format, has no rows, has rows of
        unequal length, or names of columns that are missing or given twice. Also if a
        number is infinite; if more than 90 % of a column's cells, and at least 3, are
        numbers but others are text, which is nearly always a mistake in the data; and if
        numbers are written with a comma. The message names file, row (the line in the
        file, from 1) and column.
    MissingExtraError
        For Parquet, if pyarrow is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "plants.csv"
    ...     _ = file.write_text("height;kind\n1.5;oak\n?;elm\n")
    ...     table = read_table(file)
    >>> print(table.describe())
    column  type      missing  values
    height  number          1  1.5 to 1.5
    kind    category        0  2 levels: elm, oak
    """
    file = Path(path)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise DataError(f"delimiter {delimiter!r} cannot part fields; give one character")
    suffixes = [suffix.lower() for suffix in file.suffixes]
    is_gzip = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[:-1][-1:] if is_gzip else suffixes[-1:])
    if not is_gzip and suffix in _PARQUET:
        return parse_parquet(_read_bytes(file), str(file), categories=categories)
    if delimiter is None and suffix not in _DELIMITERS:
        raise DataError(
            f"{file} has {f'the unknown suffix {file.suffix!r}' if file.suffix else 'no suffix'}; "
            "expected .csv, .tsv (each also with .gz) or .parquet"
        )
    data = _read_bytes(file)
    return parse_delimited(
        _decompress(data, file) if is_gzip else data,
        str(file),
        delimiter=delimiter or _DELIMITERS[suffix],
        categories=categories,
    )


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{file}: there is no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{file} is a directory; give a file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{file} cannot be read: {reason}") from error


def _decompress(data: bytes, file: Path) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} is not a gzip file, or is damaged: {error}") from error

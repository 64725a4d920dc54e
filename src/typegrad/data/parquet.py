"""Parquet files to a table; needs pyarrow."""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from typing import Any

from typegrad.data.table import Table, unknown_column
from typegrad.errors import DataError, import_extra


def parse_parquet(data: bytes, name: str, *, categories: Collection[str] = ()) -> Table:
    """Make a table of the bytes of a Parquet file.

    Parameters
    ----------
    data
        The file.
    name
        Its name, for messages.
    categories
        Columns that hold categories even where they are numbers.

    Raises
    ------
    DataError
        If the bytes are not Parquet, or a column has a type that a table cannot hold.
    MissingExtraError
        If pyarrow is not installed.
    """
    pyarrow = import_extra("pyarrow", "parquet", "Reading Parquet")
    parquet = import_extra("pyarrow.parquet", "parquet", "Reading Parquet")
    try:
        arrow = parquet.ParquetFile(BytesIO(data)).read()
        arrow.validate(full=True)  # damage can hide in texts that are not UTF-8
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} is not a Parquet file, or is damaged: {_first_line(error)}"
        ) from error
    names = [str(column) for column in arrow.column_names]
    if not arrow.num_rows:
        raise DataError(f"{name} has columns but no rows")
    for category in categories:
        if category not in names:
            raise DataError(f"{name}: {unknown_column(category, names)}")
    columns = [
        (column, _values(pyarrow, values, f"{name}: column {column!r}", column in categories))
        for column, values in zip(names, arrow.columns, strict=True)
    ]
    return Table(columns, source=name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["unreadable"])[0]


def _values(pyarrow: Any, values: Any, place: str, is_category: bool) -> Any:
    types = pyarrow.types
    kind = values.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        values = values.cast(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if is_number and is_category:
        return [None if value is None else str(value) for value in values.to_pylist()]
    if is_number or types.is_null(kind):
        return values.cast(pyarrow.float64(), safe=False).to_numpy()
    if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind):
        return values.to_pylist()
    raise DataError(f"{place} is of type {kind}; a table holds numbers, texts and booleans")

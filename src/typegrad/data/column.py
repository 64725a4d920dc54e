"""One column of a table: from whatever the user has to numbers or texts."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from numbers import Real
from typing import TypeAlias

import numpy as np

from typegrad.errors import DataError
from typegrad.types import AnyArray

Place: TypeAlias = Callable[[int], str]
"""Turns a position in the column into words, e.g. ``"data.csv: row 17"``."""

_quoter = reprlib.Repr()
_quoter.maxstring = _quoter.maxother = _quoter.maxlong = 40


def quote(text: object) -> str:
    """Show a cell or a value in a message: quoted, on one line, not too long."""
    return _quoter.repr(text)


def is_number_column(values: AnyArray) -> bool:
    """Whether a table's column holds numbers, not categories."""
    return values.dtype.kind == "f"


def category_levels(values: AnyArray) -> list[str]:
    """Return the different texts of a column of categories, sorted."""
    return sorted({text for text in values.tolist() if text is not None})


def as_column(name: str, values: object, place: Place) -> AnyArray:
    """Bring one column into the form a table keeps.

    Parameters
    ----------
    name
        The column's name, for messages.
    values
        One-dimensional array or sequence of numbers, texts or booleans, with None, NaN
        or pandas' NA for gaps.
    place
        Where a row is, for messages.

    Returns
    -------
    numpy.ndarray
        A read-only array of shape (rows,): float64 with NaN for gaps, or objects that
        are str or None. Booleans become the texts "True" and "False"; a column of
        gaps alone becomes NaN.

    Raises
    ------
    DataError
        If the values are not one-dimensional, of another type, mixed, or infinite.
    """
    array = _as_array(name, values)
    if array.ndim != 1:
        raise DataError(
            f"column {name!r} has shape {array.shape}; a table's column is one-dimensional"
        )
    kind = array.dtype.kind
    if kind in "fiu":
        column = array.astype(np.float64)
    elif kind in "bU":
        column = text_column([str(value) for value in array.tolist()])
    elif kind == "O":
        column = _from_objects(name, array.tolist(), place)
    else:
        raise DataError(
            f"column {name!r} has dtype {array.dtype}; a table holds numbers, texts and booleans"
        )
    if is_number_column(column):
        _check_finite(name, column, place)
    column.setflags(write=False)
    return column


def _as_array(name: str, values: object) -> AnyArray:
    if isinstance(values, np.ma.MaskedArray):
        unmasked: AnyArray = np.array(values.data, dtype=object)
        unmasked[np.ma.getmaskarray(values)] = None
        return unmasked
    try:
        array = np.asarray(values)
        if not isinstance(values, np.ndarray) and array.dtype.kind == "U":
            # NumPy turns [1.5, "a"] into two texts; look at the elements themselves.
            array = np.asarray(values, dtype=object)
    except ValueError as error:
        raise DataError(f"column {name!r} is not one-dimensional: {error}") from error
    return array


def text_column(values: Sequence[str | None]) -> AnyArray:
    """Make the object array that holds categories."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _is_gap(value: object) -> bool:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _sort_of(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bool, np.bool_)):
        return "boolean"
    if isinstance(value, (Real, Decimal)):
        return "number"
    return type(value).__name__


def _from_objects(name: str, values: list[object], place: Place) -> AnyArray:
    sorts = [None if _is_gap(value) else _sort_of(value) for value in values]
    found = [sort for sort in dict.fromkeys(sorts) if sort is not None]
    for sort in found:
        if sort not in {"text", "boolean", "number"}:
            raise DataError(
                f"{place(sorts.index(sort))}, column {name!r}: a {sort} cannot be used; "
                "a table holds numbers, texts and booleans"
            )
    if len(found) > 1:
        row = sorts.index(found[1])
        raise DataError(
            f"{place(row)}, column {name!r}: {quote(values[row])} is a {found[1]}, but the "
            f"column starts with a {found[0]}; make it all numbers or all texts"
        )
    if found and found[0] != "number":
        return text_column(
            [
                None if sort is None else str(value)
                for sort, value in zip(sorts, values, strict=True)
            ]
        )
    return np.array(
        [np.nan if sort is None else _to_float(v) for sort, v in zip(sorts, values, strict=True)],
        dtype=np.float64,
    )


def _to_float(value: object) -> float:
    assert isinstance(value, (Real, Decimal))
    try:
        return float(value)
    except OverflowError:
        return np.inf


def _check_finite(name: str, column: AnyArray, place: Place) -> None:
    infinite = np.isinf(column)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"{place(row)}, column {name!r}: {column[row]} is not a finite number; "
            "correct it or leave it empty"
        )

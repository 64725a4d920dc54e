"""Table: what it accepts, what it refuses, and what its methods give."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from typegrad.data import Table
from typegrad.errors import DataError


def rows(count: int) -> Table:
    return Table({"number": np.arange(count), "text": [f"t{i}" for i in range(count)]})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        (np.array([1, 2], dtype=np.uint8), [1.0, 2.0]),
        (np.array([0.5, np.nan], dtype=np.float32), [0.5, np.nan]),
        ([1, None, 2.5], [1.0, np.nan, 2.5]),
        ([Decimal("1.5"), np.float32(2.0), pd.NA], [1.5, 2.0, np.nan]),
        ([None, None], [np.nan, np.nan]),
        ([], []),
        (np.ma.array([1.0, 2.0], mask=[True, False]), [np.nan, 2.0]),
    ],
)
def test_columns_of_numbers(values: Any, expected: list[float]) -> None:
    column = Table({"x": values})["x"]
    assert column.dtype == np.float64
    np.testing.assert_array_equal(column, expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a"], ["b", "a"]),
        (np.array(["b", "a"]), ["b", "a"]),
        (["b", None, float("nan"), pd.NaT], ["b", None, None, None]),
        ([True, False], ["True", "False"]),
        ([True, None], ["True", None]),
        (["1", "2"], ["1", "2"]),
    ],
)
def test_columns_of_categories(values: Any, expected: list[str | None]) -> None:
    column = Table({"x": values})["x"]
    assert column.dtype == object
    assert column.tolist() == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "a table needs at least one column"),
        ({"": [1]}, "column 1 has an empty name"),
        ({3: [1]}, "column name 3 is of type int; names of columns are text"),
        (
            [("a", [1]), ("b", [2]), ("a", [3])],
            "column name 'a' is given twice (columns 1 and 3); names of columns are unique",
        ),
        (
            {"a": [1, 2], "b": [1]},
            "column 'b' has 1 rows, but column 'a' has 2; "
            "all columns of a table have the same length",
        ),
        (
            {"a": np.zeros((2, 1))},
            "column 'a' has shape (2, 1); a table's column is one-dimensional",
        ),
        ({"a": 3.0}, "column 'a' has shape (); a table's column is one-dimensional"),
        (
            {"a": np.array(["2020-01-01"], dtype="datetime64[D]")},
            "column 'a' has dtype datetime64[D]; a table holds numbers, texts and booleans",
        ),
        (
            {"a": [None, {}]},
            "row 2, column 'a': a dict cannot be used; a table holds numbers, texts and booleans",
        ),
        (
            {"a": [None, 1.5, "b"]},
            "row 3, column 'a': 'b' is a text, but the column starts with a number; "
            "make it all numbers or all texts",
        ),
        (
            {"a": ["b", True]},
            "row 2, column 'a': True is a boolean, but the column starts with a text; "
            "make it all numbers or all texts",
        ),
        (
            {"a": [1.0, -np.inf]},
            "row 2, column 'a': -inf is not a finite number; correct it or leave it empty",
        ),
        (
            {"a": [None, 10**400]},
            "row 2, column 'a': inf is not a finite number; correct it or leave it empty",
        ),
    ],
)
def test_what_is_no_table(columns: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Table(columns)


def test_lists_of_unequal_lengths_are_no_column() -> None:
    with pytest.raises(DataError, match=r"^column 'a' is not one-dimensional: "):
        Table({"a": [[1, 2], [3]]})


def test_errors_name_the_source() -> None:
    with pytest.raises(DataError, match=r"^t.csv: column 2 has an empty name$"):
        Table({"a": [1], "": [2]}, source="t.csv")
    with pytest.raises(DataError, match=r"^frame: column name 0 is of type int; "):
        Table.from_dataframe(pd.DataFrame([[1]]), source="frame")


def test_a_data_frame_has_a_constructor_of_its_own() -> None:
    message = re.escape("Table got a data frame; Table.from_dataframe(frame) takes one")
    with pytest.raises(DataError, match=f"^{message}$"):
        Table(pd.DataFrame({"a": [1]}))


def test_row_numbers_must_fit() -> None:
    message = re.escape("row_numbers has shape (2,); the table needs (1,)")
    with pytest.raises(DataError, match=f"^{message}$"):
        Table({"a": [1]}, row_numbers=np.array([1, 2]))


def test_arrays_are_read_only_copies() -> None:
    given = np.array([1.0, 2.0])
    table = Table.from_dict({"x": given, "c": ["a", "b"]})
    given[0] = 5.0
    assert table["x"].tolist() == [1.0, 2.0]
    for part in (table, table.take([0]), table.select(["x", "c"])):
        for name in part:
            assert not part[name].flags.writeable


def test_looks_like_a_mapping_of_columns() -> None:
    table = rows(3)
    assert len(table) == 3
    assert table.columns == ("number", "text") == tuple(table)
    assert "text" in table
    assert "other" not in table
    assert table.is_number("number")
    assert not table.is_number("text")
    assert repr(table) == "Table(3 rows x 2 columns: number, text)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("numbr", "no column 'numbr' (did you mean 'number'?); the columns are number, text"),
        ("TEXT", "no column 'TEXT' (did you mean 'text'?); the columns are number, text"),
        ("zzz", "no column 'zzz'; the columns are number, text"),
    ],
)
def test_unknown_column(name: str, message: str) -> None:
    for use in (rows(1).__getitem__, lambda n: rows(1).select([n]), lambda n: rows(1).drop([n])):
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            use(name)
    with pytest.raises(DataError, match=f"^file.csv: {re.escape(message)}$"):
        Table({"number": [1], "text": ["a"]}, source="file.csv")[name]


def test_select_and_drop() -> None:
    table = Table({"a": [1], "b": [2], "c": [3]})
    assert table.select(["c", "a"]).columns == ("c", "a")
    assert table.drop(["a", "c"]).columns == ("b",)
    with pytest.raises(DataError, match=r"^a table needs at least one column$"):
        table.drop(["a", "b", "c"])
    with pytest.raises(DataError, match=r"^column name 'a' is given twice"):
        table.select(["a", "a"])


def test_take_repeats_and_reorders() -> None:
    taken = rows(4).take([3, 0, 3])
    assert taken["number"].tolist() == [3.0, 0.0, 3.0]
    assert taken["text"].tolist() == ["t3", "t0", "t3"]
    assert len(rows(4).take([])) == 0


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 4], "take got row 4; the table has rows 0 to 3"),
        ([-1], "take got row -1; the table has rows 0 to 3"),
        (
            np.array([True, False, True, True]),
            "take got indices of shape (4,) and dtype bool; it expects one-dimensional integers",
        ),
        (
            np.zeros((1, 1), dtype=int),
            "take got indices of shape (1, 1) and dtype int64; it expects one-dimensional integers",
        ),
    ],
)
def test_take_refuses(indices: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        rows(4).take(indices)


def test_places_follow_the_rows() -> None:
    assert rows(3).place(2) == "row 3"
    assert rows(3).take([2, 1]).take([1]).place(0) == "row 2"
    table = Table({"a": [1, 2]}, source="file.csv", row_numbers=np.array([2, 5]))
    assert table.source == "file.csv"
    assert table.place(1) == "file.csv: row 5"
    assert table.take([1]).select(["a"]).place(0) == "file.csv: row 5"


@pytest.mark.parametrize(
    ("count", "fraction", "size"), [(1030, 0.2, 206), (5, 0.5, 3), (3, 0.2, 1), (2, 0.7, 1)]
)
def test_split_parts_the_rows(count: int, fraction: float, size: int) -> None:
    rest, part = rows(count).split(fraction, seed=7)
    assert (len(rest), len(part)) == (count - size, size)
    together = np.concatenate([rest["number"], part["number"]])
    assert sorted(together) == list(range(count))


def test_split_is_seeded() -> None:
    def part(seed: int | np.random.Generator) -> list[float]:
        numbers: list[float] = rows(50).split(0.5, seed)[1]["number"].tolist()
        return numbers

    assert part(1) == part(1) == part(np.random.default_rng(1))
    assert part(1) != part(2)
    generator = np.random.default_rng(1)
    assert part(generator) != part(generator)


@pytest.mark.parametrize(
    ("count", "fraction", "message"),
    [
        (9, 0.0, "split got fraction 0.0; it must be above 0 and below 1"),
        (9, 1.0, "split got fraction 1.0; it must be above 0 and below 1"),
        (9, float("nan"), "split got fraction nan; it must be above 0 and below 1"),
        (
            3,
            0.1,
            "splitting 3 rows with fraction 0.1 leaves 3 and 0; both parts need at least one row",
        ),
        (
            1,
            0.5,
            "splitting 1 row with fraction 0.5 leaves 0 and 1; both parts need at least one row",
        ),
    ],
)
def test_split_refuses(count: int, fraction: float, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        rows(count).split(fraction, seed=0)


def test_describe() -> None:
    table = Table(
        {
            "height": [1.5, None, 3e6],
            "kind": ["b", None, "a"],
            "one": ["x", "x", "x"],
            "gaps": [None, None, None],
        }
    )
    assert table.describe().splitlines() == [
        "column  type      missing  values",
        "height  number          1  1.5 to 3e+06",
        "kind    category        1  2 levels: a, b",
        "one     category        0  1 level: x",
        "gaps    number          3  none",
    ]
    many = Table({"name": [f"n{i}" for i in range(9)]})
    assert many.describe().endswith("9 levels: n0, n1, n2, n3, ...")
    odd = Table({"name": ["a, b", "O'Hare", 'O\'Hare "N"', "two\nlines", "x" * 50]})
    assert odd.describe().endswith(
        """5 levels: O'Hare, 'O\\'Hare "N"', 'a, b', 'two\\nlines', ..."""
    )


def test_from_pandas() -> None:
    frame = pd.DataFrame(
        {
            "float": [1.5, None, 2.5],
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "text": ["a", None, "b"],
            "flag": [True, False, True],
            "codes": pd.Categorical([10, None, 20]),
        },
        index=[7, 8, 9],
    )
    table = Table.from_dataframe(frame, source="frame")
    np.testing.assert_array_equal(table["float"], [1.5, np.nan, 2.5])
    np.testing.assert_array_equal(table["nullable"], [1.0, np.nan, 3.0])
    assert table["text"].tolist() == ["a", None, "b"]
    assert table["flag"].tolist() == ["True", "False", "True"]
    assert table["codes"].tolist() == ["10", None, "20"]
    assert table.source == "frame"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]]), "column name 0 is of type int; names of columns are text"),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            "column name 'a' is given twice (columns 1 and 2); names of columns are unique",
        ),
        (
            pd.DataFrame({"t": pd.to_datetime(["2020-01-01"]).astype("datetime64[s]")}),
            "column 't' has dtype datetime64[s]; a table holds numbers, texts and booleans",
        ),
    ],
)
def test_from_pandas_refuses(frame: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Table.from_dataframe(frame)


def test_from_a_data_frame_that_is_not_of_pandas() -> None:
    class Series:
        dtype = "Float64"

        def to_numpy(self) -> Any:
            return np.array([1.0, np.nan])

    class Frame:
        columns = ("x",)

        def __getitem__(self, name: str) -> Series:
            return Series()

    np.testing.assert_array_equal(Table.from_dataframe(Frame())["x"], [1.0, np.nan])

"""read_table: what it understands, and that each error names its place."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typegrad.data import Table, read_table
from typegrad.data.delimited import parse_delimited
from typegrad.errors import DataError, MissingExtraError


def parse(text: str, **options: Any) -> Table:
    return parse_delimited(text.encode(), "data.csv", **options)


def columns(table: Table) -> dict[str, list[Any]]:
    """Columns as lists, with None for gaps of either kind."""
    return {
        name: [None if value is None or value != value else value for value in table[name].tolist()]  # noqa: PLR0124
        for name in table
    }


def test_numbers_categories_and_gaps() -> None:
    gaps = ["", " ", "NA", "N/A", "NaN", "nan", "null", "None", "?", " NA "]
    lines = [f"{gap},{gap}" for gap in gaps]
    table = parse("\n".join(["x,kind", " 1.5 , oak ", "-2e3,elm", *lines, "+.5,OAK"]) + "\n")
    none = [None] * len(gaps)
    assert columns(table) == {
        "x": [1.5, -2000.0, *none, 0.5],
        "kind": ["oak", "elm", *none, "OAK"],
    }
    assert table["x"].dtype == np.float64


def test_boolean_like_text_is_a_category() -> None:
    assert columns(parse("a,b\ntrue,0\nfalse,1\n")) == {"a": ["true", "false"], "b": [0.0, 1.0]}


def test_a_column_of_gaps_is_numeric() -> None:
    table = parse("a,b\n,1\nNA,2\n")
    assert table.is_number("a")
    assert np.isnan(table["a"]).all()


def test_texts_that_python_reads_as_numbers() -> None:
    assert columns(parse("code\n1_000\n2_000\n")) == {"code": ["1_000", "2_000"]}
    assert columns(parse("a_b\n1\n2\n")) == {"a_b": [1.0, 2.0]}


def test_categories_on_request() -> None:
    table = parse("zip,x\n01,1\n02,2\n?,3\n", categories=["zip"])
    assert columns(table) == {"zip": ["01", "02", None], "x": [1.0, 2.0, 3.0]}
    with pytest.raises(DataError, match=r"^data.csv: no column 'zap' \(did you mean 'zip'\?\)"):
        parse("zip,x\n01,1\n", categories=["zap"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiter_is_found(delimiter: str, newline: str) -> None:
    lines = [["a b", "c"], ["1", "x, y; z|"], ["2", "u\tv"]]
    text = newline.join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    assert columns(parse(text)) == {"a b": [1.0, 2.0], "c": ["x, y; z|", "u\tv"]}


def test_delimiter_is_found_in_a_long_file() -> None:
    table = parse("a;b\n" + "1.25;red, green\n" * 20_000)
    assert table.columns == ("a", "b")
    assert len(table) == 20_000


def test_a_single_column_needs_no_delimiter() -> None:
    assert columns(parse("price\n1\n2\n")) == {"price": [1.0, 2.0]}


def test_quotes_newlines_and_blank_lines() -> None:
    text = 'x,note\n\n1, "two\nlines"\n  \n2,"say ""hi"""\n'
    table = parse(text)
    assert columns(table) == {"x": [1.0, 2.0], "note": ["two\nlines", 'say "hi"']}
    assert [table.place(row) for row in range(2)] == ["data.csv: row 3", "data.csv: row 6"]


def test_byte_order_mark_and_unicode() -> None:
    table = parse_delimited(
        b"\xef\xbb\xbf" + "größe,x\ngroß,1\n".encode(), "data.csv", delimiter=","
    )
    assert columns(table) == {"größe": ["groß"], "x": [1.0]}


def test_many_chunks_with_a_text_in_a_late_one() -> None:
    cells = [f"{i:05d}" for i in range(2_000)] + ["x1"] * 1_000
    table = parse("code,i\n" + "\n".join(f"{cell},{i}" for i, cell in enumerate(cells)))
    assert table["code"].tolist() == cells
    np.testing.assert_array_equal(table["i"], np.arange(3_000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.csv is empty"),
        ("\n \n", "data.csv is empty"),
        ("a,b\n", "data.csv has a header but no rows"),
        ("a,b\n\n\n", "data.csv has a header but no rows"),
        (
            "1,2.5\n3,4\n",
            "data.csv: row 1 holds numbers ('1', ...) where the header with the columns' names "
            "is expected; add one",
        ),
        (
            "a,,c\n1,2,3\n",
            "data.csv: row 1: column 2 of 3 has no name; name it or remove it",
        ),
        (
            "\na,b,b,b\n1,2,3,4\n",
            "data.csv: row 2: 3 columns are named 'b'; names must differ",
        ),
        (
            "a,b\n1,2\n1,2,3\n",
            "data.csv: row 3 has 3 fields; expected 2, as in the header",
        ),
        (
            'a,b\n"1\n",2\n\n3\n',
            "data.csv: row 5 has 1 fields; expected 2, as in the header",
        ),
        (
            'a,b\n1,2\n3,"4\n5,6\n',
            "data.csv: row 3 cannot be parsed: unexpected end of data; is a quote left open?",
        ),
        (
            "a,b\n1,2\nx\0,3\n",
            "data.csv is not UTF-8 text (it holds NUL bytes); if it is text, save it as UTF-8",
        ),
        (
            "a,b\n1,2\n-inf,3\n",
            "data.csv: row 3, column 'a': '-inf' is not a finite number; "
            "correct it or leave it empty",
        ),
        (
            "a,b\n1,1e999\n",
            "data.csv: row 2, column 'b': '1e999' is not a finite number; "
            "correct it or leave it empty",
        ),
        (
            "a,b\n" + "1,2\n" * 10 + "1, 2o \n" + "1,?\n",
            "data.csv: row 12, column 'b': '2o' is not a number, but 10 of the column's "
            "11 cells are; correct it or leave it empty",
        ),
        (
            "a;b\n1,5;1\n2,25;1\n",
            "data.csv: row 2, column 'a': '1,5' is a number written with a comma; "
            "write decimals with a point and thousands without a mark",
        ),
        (
            'a,b\n1,5\n2,"1,234.50"\n',
            "data.csv: row 3, column 'b': '1,234.50' is a number written with a comma; "
            "write decimals with a point and thousands without a mark",
        ),
    ],
)
def test_what_is_wrong_with_a_text(text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        parse(text)


def test_a_late_text_among_numbers_is_located() -> None:
    lines = ["x,y", *("1,2" for _ in range(5_000)), "1,oops", "1,2", "1,again"]
    message = re.escape("data.csv: row 5002, column 'y': 'oops' is not a number, but 5001 of ")
    with pytest.raises(DataError, match=f"^{message}"):
        parse("\n".join(lines))


def test_at_most_nine_tenths_numbers_are_a_category() -> None:
    assert not parse("a\n" + "1\n" * 9 + "x\n").is_number("a")
    assert columns(parse("a\n1\n2\nx\n")) == {"a": ["1", "2", "x"]}


def test_not_utf8() -> None:
    message = "data.csv: row 3 is not UTF-8 text (byte 0xe9); save the file as UTF-8"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        parse_delimited(b"a,b\n1,2\ncaf\xe9,3\n", "data.csv")
    with pytest.raises(DataError, match=r"^data.csv is not UTF-8 text"):
        parse_delimited("a,b\n1,2\n".encode("utf-16"), "data.csv")


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(st.none(), st.text(st.sampled_from("ab ,;\"'\n\té"), min_size=1)),
        ),
        min_size=1,
    )
)
@settings(max_examples=100, deadline=None)
def test_reads_what_pandas_wrote(rows: list[tuple[float | None, str | None]]) -> None:
    # "x" makes the second column a category; spaces around a cell are not part of it.
    numbers = [1.0, *(number for number, _ in rows)]
    texts = ["x", *(text and (text.strip() or None) for _, text in rows)]
    frame = pd.DataFrame({"n": numbers, "t": texts})
    table = parse(frame.to_csv(index=False), delimiter=",")
    assert columns(table) == {"n": numbers, "t": texts}


@pytest.mark.parametrize(
    ("name", "separator"), [("t.csv", ";"), ("t.CSV", ","), ("t.tsv", "\t"), ("t.tab", "\t")]
)
def test_files_by_suffix(tmp_path: Path, name: str, separator: str) -> None:
    content = f"a,b{separator}c\n1{separator}x\n".replace("a,b", "a b")
    plain, packed = tmp_path / name, tmp_path / f"{name}.gz"
    plain.write_text(content)
    packed.write_bytes(gzip.compress(content.encode()))
    for path in (plain, packed, str(plain)):
        table = read_table(path)
        assert columns(table) == {"a b": [1.0], "c": ["x"]}
        assert table.place(0) == f"{path}: row 2"


def test_any_suffix_with_a_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    path.write_text("a:b\n1:2\n")
    assert columns(read_table(path, delimiter=":")) == {"a": [1.0], "b": [2.0]}


@pytest.mark.parametrize("delimiter", ["", "::", '"', "\n"])
def test_bad_delimiter(delimiter: str) -> None:
    message = f"delimiter {delimiter!r} cannot part fields; give one character"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_table("data.csv", delimiter=delimiter)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: str | Path, message: str) -> None:
        with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
            read_table(path)

    path = tmp_path / "none.csv"
    fails(path, f"{path}: there is no such file")
    path.mkdir()
    fails(path, f"{path} is a directory; give a file")
    fails("a\0b.csv", "a\0b.csv cannot be read: embedded null byte")
    expected = "expected .csv, .tsv (each also with .gz) or .parquet"
    fails("data.xlsx", f"data.xlsx has the unknown suffix '.xlsx'; {expected}")
    fails("data.parquet.gz", f"data.parquet.gz has the unknown suffix '.gz'; {expected}")
    fails("data", f"data has no suffix; {expected}")
    packed = tmp_path / "data.csv.gz"
    packed.write_bytes(b"a,b\n1,2\n")
    fails(packed, f"{packed} is not a gzip file, or is damaged: Not a gzipped file (b'a,')")
    packed.write_bytes(gzip.compress(b"a,b\n1,2\n")[:-9])
    with pytest.raises(DataError, match=r"is not a gzip file, or is damaged: "):
        read_table(packed)

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    fails("data.csv", "data.csv cannot be read: Permission denied")


def write_parquet(path: Path, **arrays: Any) -> Path:
    pq.write_table(pa.table(arrays), path)
    return path


def test_parquet_types(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "t.parquet",
        whole=pa.array([1, None, 3], pa.int16()),
        single=pa.array([1.5, None, float("nan")], pa.float32()),
        price=pa.array([1, 2, None], pa.decimal128(5, 2)),
        text=pa.array(["a", None, "b"]),
        large=pa.array(["a", None, "b"], pa.large_string()),
        coded=pa.array(["b", None, "b"]).dictionary_encode(),
        flag=pa.array([True, None, False]),
        nothing=pa.nulls(3),
        zip=pa.array([1, None, 3]),
    )
    table = read_table(path, categories=["zip", "text"])
    assert columns(table) == {
        "whole": [1.0, None, 3.0],
        "single": [1.5, None, None],
        "price": [1.0, 2.0, None],
        "text": ["a", None, "b"],
        "large": ["a", None, "b"],
        "coded": ["b", None, "b"],
        "flag": ["True", None, "False"],
        "nothing": [None, None, None],
        "zip": ["1", None, "3"],
    }
    assert table.place(0) == f"{path}: row 1"


def test_parquet_and_csv_give_the_same_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, None], "b": [True, False], "t": ["u", None]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    from_csv, from_parquet = (read_table(tmp_path / f"t.{suffix}") for suffix in ("csv", "parquet"))
    assert columns(from_csv) == columns(from_parquet) == columns(Table.from_dataframe(frame))


def test_parquet_errors(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"

    def fails(message: str, **options: Any) -> None:
        with pytest.raises(DataError, match=f"^{re.escape(f'{path}{message}')}"):
            read_table(path, **options)

    fails(": there is no such file")
    path.write_bytes(b"a,b\n1,2\n")
    fails(" is not a Parquet file, or is damaged: ")
    path.write_bytes(b"")
    fails(" is not a Parquet file, or is damaged: ")
    write_parquet(path, x=pa.array([1.0, float("inf")]))
    path.write_bytes(path.read_bytes()[:-20])
    fails(" is not a Parquet file, or is damaged: ")
    write_parquet(path, x=pa.array(["caf-", "t"]))
    path.write_bytes(path.read_bytes().replace(b"caf-", b"caf\xe9"))
    fails(" is not a Parquet file, or is damaged: ")
    write_parquet(path, x=pa.array([1.0, float("inf")]))
    fails(": row 2, column 'x': inf is not a finite number; correct it or leave it empty")
    fails(": no column 'y'; the columns are x", categories=["y"])
    write_parquet(path, x=pa.array([], pa.float64()))
    fails(" has columns but no rows")
    write_parquet(path, when=pa.array([0], pa.timestamp("ms")))
    fails(": column 'when' is of type timestamp[ms]; a table holds numbers, texts and booleans")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), path)
    fails(": column name 'a' is given twice (columns 1 and 2); names of columns are unique")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    path = write_parquet(tmp_path / "t.parquet", x=pa.array([1.0]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = "Reading Parquet needs pyarrow, which is not installed: "
    with pytest.raises(MissingExtraError, match=f"^{message}run `pip install 'typegrad\\[parquet"):
        read_table(path)

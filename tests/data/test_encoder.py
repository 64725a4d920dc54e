"""TableEncoder: what each column becomes, what is refused, and the JSON round trip."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from typegrad.data import Table, TableEncoder
from typegrad.data.encoder import Categories
from typegrad.errors import DataError, FileFormatError


def training_table(source: str | None = None) -> Table:
    return Table(
        {
            "size": [3.0, None, 1.0, 2.0, 10.0],
            "kind": ["oak", "elm", None, "oak", "ash"],
            "age": [1, 2, 3, 4, 5],
            "soil": ["wet", "dry", "wet", "wet", "dry"],
            "price": [5.0, 4.0, 3.0, 2.0, 1.0],
        },
        source=source,
    )


def test_one_hot() -> None:
    table = training_table()
    encoder = TableEncoder.fit(table, "price")
    assert encoder.feature_names == (
        "size",
        "size is missing",
        "kind=ash",
        "kind=elm",
        "kind=oak",
        "kind is missing",
        "age",
        "soil=dry",
        "soil=wet",
    )
    assert encoder.n_features == 9
    assert encoder.number_columns == (0, 6)
    assert encoder.category_columns == {}
    assert encoder.columns == ("size", "kind", "age", "soil")
    assert encoder.category_names == ("kind", "soil")
    assert encoder.target_name == "price"
    assert encoder.features(table).tolist() == [
        [3.0, 0, 0, 0, 1, 0, 1, 0, 1],
        [2.5, 1, 0, 1, 0, 0, 2, 1, 0],
        [1.0, 0, 0, 0, 0, 1, 3, 0, 1],
        [2.0, 0, 0, 0, 1, 0, 4, 0, 1],
        [10.0, 0, 1, 0, 0, 0, 5, 1, 0],
    ]
    assert encoder.features(table).dtype == np.float64
    assert encoder.target(table).tolist() == [[5.0], [4.0], [3.0], [2.0], [1.0]]


def test_embedding() -> None:
    table = training_table()
    encoder = TableEncoder.fit(table, "price", categories="embedding")
    assert encoder.feature_names == ("size", "size is missing", "age", "kind", "soil")
    assert encoder.number_columns == (0, 2)
    assert encoder.category_columns == {3: 4, 4: 3}
    assert encoder.features(table)[:, 3:].tolist() == [[3, 2], [2, 1], [0, 2], [3, 2], [1, 1]]


def test_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "n": np.where(random.random(200) < 0.2, np.nan, random.normal(size=200)),
            "c": random.choice(["u", "v", "w"], 200),
            "y": random.normal(size=200),
        }
    )
    train, test = frame[:150], frame[150:].replace({"c": {"v": "new"}})
    theirs = ColumnTransformer(
        [
            ("n", SimpleImputer(strategy="median", add_indicator=True), ["n"]),
            ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["c"]),
        ]
    ).fit(train)
    ours = TableEncoder.fit(Table.from_dataframe(train), "y")
    for part in (train, test):
        np.testing.assert_array_equal(
            ours.features(Table.from_dataframe(part)), theirs.transform(part)
        )


def test_nothing_is_learned_after_fit() -> None:
    table = training_table()
    encoder = TableEncoder.fit(table.take([0, 3, 4]), "price")
    assert encoder.feature_names == ("size", "kind=ash", "kind=oak", "age", "soil=dry", "soil=wet")
    # A gap where training rows had none becomes their median; an unknown level, zeros.
    assert encoder.features(table.take([1, 2])).tolist() == [
        [3.0, 0, 0, 2, 1, 0],
        [1.0, 0, 0, 3, 0, 1],
    ]
    embedding = TableEncoder.fit(table.take([0, 3, 4]), "price", categories="embedding")
    assert embedding.features(table.take([1, 2]))[:, 2].tolist() == [0, 0]


def test_columns_are_found_by_name() -> None:
    table = training_table()
    encoder = TableEncoder.fit(table, "price")
    other = Table({"extra": np.zeros(5), **{name: table[name] for name in reversed(table.columns)}})
    np.testing.assert_array_equal(encoder.features(other), encoder.features(table))
    without_target = table.drop(["price"])
    np.testing.assert_array_equal(encoder.features(without_target), encoder.features(table))


def test_without_target() -> None:
    encoder = TableEncoder.fit(training_table(), None)
    assert encoder.columns == training_table().columns
    with pytest.raises(
        DataError, match=r"^this encoder was fitted without a target; fit it with one$"
    ):
        encoder.target(training_table())


def test_gaps_alone_are_gaps_of_any_type() -> None:
    encoder = TableEncoder.fit(training_table(), "price")
    gaps = Table({name: [None] for name in encoder.columns})
    assert encoder.features(gaps).tolist() == [[2.5, 1, 0, 0, 0, 1, 3, 0, 0]]


def test_results_are_independent_of_the_table() -> None:
    table = training_table()
    encoder = TableEncoder.fit(table, "price")
    encoder.target(table)[:] = 0.0
    encoder.features(table)[:] = 0.0
    assert table["price"][0] == 5.0
    assert table["age"][0] == 1.0


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (
            {},
            "prices",
            "t.csv: the target: no column 'prices' (did you mean 'price'?); "
            "the columns are size, kind, age, soil, price",
        ),
        (
            {},
            "soil",
            "t.csv: row 1, column 'soil': the target is text, 'wet'; regression predicts numbers",
        ),
        (
            {"soil": [None, "x", "x", "x", "x"]},
            "soil",
            "t.csv: row 2, column 'soil': the target is text, 'x'; regression predicts numbers",
        ),
        (
            {"price": [1.0, None, 2.0, None, 3.0]},
            "price",
            "t.csv: row 2, column 'price': the target is missing here, in 2 of 5 rows altogether; "
            "remove these rows or fill them",
        ),
        (
            {"price": [0.5] * 5},
            "price",
            "t.csv: the target 'price' is 0.5 in all 5 rows; there is nothing to learn",
        ),
        (
            {"age": [None] * 5},
            "price",
            "t.csv: column 'age' has no value in any row; leave it out",
        ),
        (
            {"age": [None] * 5},
            None,
            "t.csv: column 'age' has no value in any row; leave it out",
        ),
    ],
)
def test_fit_refuses(change: dict[str, list[Any]], target: str | None, message: str) -> None:
    good = training_table()
    table = Table({name: change.get(name, good[name]) for name in good}, source="t.csv")
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        TableEncoder.fit(table, target)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([], "t.csv: the table has 0 rows; training needs at least 2"),
        ([0], "t.csv: the table has 1 row; training needs at least 2"),
    ],
)
def test_too_few_rows(indices: list[int], message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        TableEncoder.fit(training_table("t.csv").take(indices), "price")


def test_no_features() -> None:
    message = (
        "the table has no column beside the target 'price'; there is nothing to predict it from"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        TableEncoder.fit(training_table().select(["price"]), "price")


def test_unknown_encoding() -> None:
    encoding: Any = "one-hot"
    message = "categories is 'one-hot'; expected 'onehot' or 'embedding'"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        TableEncoder.fit(training_table(), "price", categories=encoding)


def test_too_many_levels_for_one_hot() -> None:
    def table(levels: int) -> Table:
        return Table({"id": [f"i{i}" for i in range(levels)], "y": np.arange(levels)})

    assert TableEncoder.fit(table(1_000), "y").n_features == 1_000
    message = (
        "column 'id' has 1001 different texts; one-hot takes up to 1000: "
        "leave the column out, or encode categories as 'embedding'"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        TableEncoder.fit(table(1_001), "y")
    assert TableEncoder.fit(table(1_001), "y", categories="embedding").category_columns == {0: 1002}


@pytest.mark.parametrize("categories", ["onehot", "embedding"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": None},
            "p.csv: no column 'kind'; the columns are size, age, soil, price; "
            "it was there when the encoder was fitted",
        ),
        (
            {"age": [None, "old"]},
            "p.csv: row 2, column 'age': 'old' is text, "
            "but the column had numbers when the encoder was fitted",
        ),
        (
            {"kind": [None, 7.5]},
            "p.csv: row 2, column 'kind': 7.5 is a number, but the column had categories when the "
            "encoder was fitted; read it as one: read_table(path, categories=['kind'])",
        ),
    ],
)
def test_features_refuses(
    categories: Categories, change: dict[str, list[Any] | None], message: str
) -> None:
    good = training_table().take([0, 1])
    encoder = TableEncoder.fit(training_table(), "price", categories=categories)
    changed = {name: good[name] for name in good} | change
    table = Table({n: v for n, v in changed.items() if v is not None}, source="p.csv")
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        encoder.features(table)


def test_target_refuses() -> None:
    encoder = TableEncoder.fit(training_table(), "price")
    with pytest.raises(DataError, match=r"^the target: no column 'price'; the columns are size, "):
        encoder.target(training_table().drop(["price"]))
    table = Table({"price": [1.0, None]})
    with pytest.raises(DataError, match=r"^row 2, column 'price': the target is missing here, in "):
        encoder.target(table)
    assert encoder.target(Table({"price": [1.0, 1.0]})).tolist() == [[1.0], [1.0]]


def test_describe() -> None:
    assert TableEncoder.fit(training_table(), "price").describe().splitlines() == [
        "size: number, gaps become 2.5, with an indicator of gaps",
        "kind: category of 3 levels and gaps",
        "age: number, gaps become 3",
        "soil: category of 2 levels",
        "price: target",
    ]
    one = TableEncoder.fit(Table({"c": ["a", "a"]}), None)
    assert one.describe() == "c: category of 1 level"


@pytest.mark.parametrize("categories", ["onehot", "embedding"])
@pytest.mark.parametrize("target", ["price", None])
def test_json_round_trip(categories: Categories, target: str | None) -> None:
    table = training_table()
    encoder = TableEncoder.fit(table, target, categories=categories)
    restored = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(restored.features(table), encoder.features(table))
    assert restored.to_dict() == encoder.to_dict()
    assert restored.feature_names == encoder.feature_names
    assert restored.target_name == target


SIZE: dict[str, Any] = {"name": "size", "kind": "number", "median": 2.5, "has_gaps": True}
KIND: dict[str, Any] = {"name": "k", "kind": "category", "levels": ["a", "b"], "has_gaps": False}
GOOD: dict[str, Any] = {
    "format": "typegrad.TableEncoder",
    "version": 1,
    "target": "y",
    "categories": "onehot",
    "columns": [SIZE, KIND],
}


def test_the_good_dictionary_is_good() -> None:
    assert TableEncoder.from_dict(GOOD).feature_names == ("size", "size is missing", "k=a", "k=b")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the encoder is a NoneType; expected an object"),
        ([], "the encoder is a list; expected an object"),
        (
            {"format": "x"},
            "the encoder has the fields 'format'; "
            "expected categories, columns, format, target, version",
        ),
        (GOOD | {"format": "x"}, "the encoder: format is 'x'; expected 'typegrad.TableEncoder'"),
        (GOOD | {"version": 2}, "the encoder: version is 2; expected 1"),
        (GOOD | {"target": 3}, "the encoder: target is 3; expected a text or null"),
        (GOOD | {"target": ""}, "the encoder: target is ''; expected a text or null"),
        (
            GOOD | {"target": "size"},
            "the encoder: names of columns and target are not all different",
        ),
        (
            GOOD | {"categories": ["onehot"]},
            "the encoder: categories is ['onehot']; expected 'onehot' or 'embedding'",
        ),
        (GOOD | {"columns": {}}, "the encoder: columns is {}; expected a list of at least one"),
        (GOOD | {"columns": []}, "the encoder: columns is []; expected a list of at least one"),
        (
            GOOD | {"columns": [SIZE, SIZE]},
            "the encoder: names of columns and target are not all different",
        ),
    ],
)
def test_hostile_dictionary(data: Any, message: str) -> None:
    with pytest.raises(FileFormatError, match=f"^{re.escape(message)}$"):
        TableEncoder.from_dict(data)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("size", ": kind is None; expected 'number' or 'category'"),
        (SIZE | {"kind": "text"}, ": kind is 'text'; expected 'number' or 'category'"),
        (SIZE | {"kind": ["number"]}, ": kind is ['number']; expected 'number' or 'category'"),
        (
            SIZE | {"levels": []},
            " has the fields 'has_gaps', 'kind', 'levels', 'median', 'name'; "
            "expected has_gaps, kind, median, name",
        ),
        (SIZE | {"name": 1}, ": name is 1; expected a text"),
        (SIZE | {"name": ""}, ": name is ''; expected a text"),
        (SIZE | {"median": "2"}, ": median is '2'; expected a number"),
        (SIZE | {"median": True}, ": median is True; expected a number"),
        (SIZE | {"median": float("nan")}, ": median is nan; expected a finite number"),
        (
            SIZE | {"median": 10**400},
            ": median is 100000000000000000...0000000000000000000; expected a finite number",
        ),
        (SIZE | {"has_gaps": 1}, ": has_gaps is 1; expected true or false"),
        (KIND | {"has_gaps": None}, ": has_gaps is None; expected true or false"),
        (KIND | {"levels": "ab"}, ": levels are 'ab'; expected different texts in sorted order"),
        (KIND | {"levels": []}, ": levels are []; expected different texts in sorted order"),
        (KIND | {"levels": ["b", "a"]}, ": levels are ['b', 'a']; expected different texts"),
        (KIND | {"levels": ["a", "a"]}, ": levels are ['a', 'a']; expected different texts"),
        (KIND | {"levels": ["a", 1]}, ": levels are ['a', 1]; expected different texts"),
    ],
)
def test_hostile_column(column: Any, message: str) -> None:
    with pytest.raises(FileFormatError, match=f"^{re.escape(f'the encoder: column 2{message}')}"):
        TableEncoder.from_dict(GOOD | {"columns": [SIZE | {"name": "first"}, column]})

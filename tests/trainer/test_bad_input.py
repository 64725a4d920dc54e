"""What cannot be trained on is refused, with a message that says where and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import typegrad as tg
from typegrad.options import check_count


def make_trainer() -> tg.Trainer:
    network = tg.NeuralNetwork(
        tg.Dense(3, 4, tg.Tanh()), tg.Dense(4, 1), loss=tg.MSELoss(), seed=0, dtype=np.float64
    )
    return tg.Trainer(network, tg.SGD(0.01))


X = np.random.default_rng(0).normal(size=(12, 3))
Y = X[:, :1]


def with_value(array: Any, place: tuple[int, int], value: float) -> Any:
    changed = array.copy()
    changed[place] = value
    return changed


DATA = {
    "nan in x": (
        with_value(X, (4, 2), np.nan),
        Y,
        tg.DataError,
        "{}x has nan at row 4, column 2; drop or fill such rows first (a TableEncoder fills gaps)",
    ),
    "infinity in y": (
        X,
        with_value(Y, (7, 0), -np.inf),
        tg.DataError,
        "{}y has -inf at row 7, column 0; drop or fill such rows first (a TableEncoder fills gaps)",
    ),
    "nan in y as vector": (
        X,
        np.array([1.0, np.nan] * 6),
        tg.DataError,
        "{}y has nan at row 1; drop or fill such rows first (a TableEncoder fills gaps)",
    ),
    "too many columns": (
        np.ones((12, 4)),
        Y,
        tg.ShapeError,
        "{}x has shape (12, 4); the network expects (rows, 3)",
    ),
    "one row as vector": (
        np.ones(3),
        np.ones(3),
        tg.ShapeError,
        "{}x has shape (3,); the network expects (rows, 3); for one row use x.reshape(1, -1)",
    ),
    "y is a vector": (
        X,
        Y[:, 0],
        tg.ShapeError,
        "MSELoss(): the prediction has shape (12, 1) and the target (12,); "
        "make the target a column: target.reshape(-1, 1)",
    ),
    "y has two columns": (
        X,
        X[:, :2],
        tg.ShapeError,
        "MSELoss(): the prediction has shape (12, 1) and the target (12, 2); they must be equal",
    ),
    "fewer rows in y": (
        X,
        Y[:-1],
        tg.ShapeError,
        "{}x has shape (12, 3) and {}y (11, 1); expected as many rows in both",
    ),
    "a number for y": (
        X,
        3.0,
        tg.ShapeError,
        "{}x has shape (12, 3) and {}y (); expected as many rows in both",
    ),
    "no rows": (
        X[:0],
        Y[:0],
        tg.DataError,
        "{}x and {}y have no rows; nothing can be learnt from them",
    ),
    "empty lists": (
        [],
        [],
        tg.DataError,
        "{}x and {}y have no rows; nothing can be learnt from them",
    ),
    "text": (
        np.array([["a", "b", "c"]] * 12),
        Y,
        tg.DTypeError,
        "{}x has dtype <U1; expected real numbers, and for text a TableEncoder that turns it "
        "into numbers",
    ),
    "objects": (
        X,
        np.array([[None]] * 12),
        tg.DTypeError,
        "{}y has dtype object; expected real numbers, and for text a TableEncoder that turns it "
        "into numbers",
    ),
    "complex": (
        X * 1j,
        Y,
        tg.DTypeError,
        "{}x has dtype complex128; expected real numbers, and for text a TableEncoder that "
        "turns it into numbers",
    ),
    "masked": (
        np.ma.masked_greater(X, X.mean()),
        Y,
        tg.DataError,
        "{}x has masked elements; fill them, or drop their rows, and give a plain array",
    ),
    "ragged": (
        [[1.0, 2.0, 3.0], [1.0, 2.0]],
        [[1.0], [2.0]],
        tg.DTypeError,
        "{}x has rows of different lengths; expected a table",
    ),
    "columns of different kinds": (
        pd.DataFrame({"a": [1.0] * 12, "b": ["x"] * 12, "c": [2.0] * 12}),
        Y,
        tg.DTypeError,
        "{}x has dtype object; expected real numbers, and for text a TableEncoder that turns it "
        "into numbers",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_data(name: str) -> None:
    x, y, error, message = DATA[name]
    trainer = make_trainer()
    before = trainer.network.flat.values.copy()
    with pytest.raises(error) as caught:
        trainer.fit(x, y, epochs=1)
    assert str(caught.value) == message.replace("{}", "")
    with pytest.raises(error) as caught:
        trainer.evaluate(x, y)
    assert str(caught.value) == message.replace("{}", "")
    with pytest.raises(error) as caught:
        trainer.fit(X, Y, epochs=1, validation_data=(x, y))
    assert str(caught.value) == message.replace("{}", "validation ")
    np.testing.assert_array_equal(trainer.network.flat.values, before)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "evaluate_every"])
@pytest.mark.parametrize("value", [0, -3, 1.5, True, "4", None, 2.0])
def test_counts(name: str, value: object) -> None:
    options: dict[str, Any] = {"epochs": 1, name: value}
    with pytest.raises(ValueError, match=f"^{name} is") as caught:
        make_trainer().fit(X, Y, **options)
    words = ", or 'auto'" if name == "batch_size" and isinstance(value, str) else ""
    assert str(caught.value) == f"{name} is {value!r}; expected a whole number of 1 or more{words}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "net"}, "network is 'net'; expected a NeuralNetwork"),
        (
            {"optimizer": tg.SGD},
            f"optimizer is {tg.SGD!r}; expected an object such as tg.Adam(0.001)",
        ),
        (
            {"callbacks": [tg.Callback(), tg.EarlyStopping]},
            f"callback is {tg.EarlyStopping!r}; expected an object such as tg.ProgressBar()",
        ),
    ],
    ids=["network", "optimizer", "callback"],
)
def test_classes_instead_of_objects(options: dict[str, Any], message: str) -> None:
    arguments = {"network": make_trainer().network, "optimizer": tg.SGD(0.1), **options}
    with pytest.raises(TypeError) as caught:
        tg.Trainer(**arguments)
    assert str(caught.value) == f"Trainer: {message}"


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_accumulation_steps(value: int) -> None:
    with pytest.raises(ValueError, match="accumulation_steps") as caught:
        tg.Trainer(make_trainer().network, tg.SGD(0.1), accumulation_steps=value)
    assert str(caught.value) == (
        f"accumulation_steps is {value}; expected a whole number of 1 or more"
    )


@pytest.mark.parametrize("name", ["seed", "initial_epoch"])
@pytest.mark.parametrize("value", [-1, 1.5, True])
def test_numbers_from_zero(name: str, value: object) -> None:
    options: dict[str, Any] = {"epochs": 3, name: value}
    with pytest.raises(ValueError, match=f"^{name} is") as caught:
        make_trainer().fit(X, Y, **options)
    assert str(caught.value) == f"{name} is {value!r}; expected a whole number of 0 or more"


def test_initial_epoch_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="initial_epoch") as caught:
        make_trainer().fit(X, Y, epochs=3, initial_epoch=3)
    assert str(caught.value) == "initial_epoch is 3; expected 0 to 2, less than epochs"


def test_numpy_integers_are_counts() -> None:
    """A uint8 must not overflow when it is multiplied."""
    assert type(check_count("n", np.uint8(200))) is int
    trainer = make_trainer()
    trainer.accumulation_steps = 2
    counts: dict[str, Any] = {
        "epochs": np.int64(2),
        "batch_size": np.uint8(200),
        "evaluate_every": np.int8(1),
    }
    history = trainer.fit(X, Y, **counts)
    assert len(history) == 2


@pytest.mark.parametrize("batch_size", [12, 13, 1000, 10**30])
def test_batches_larger_than_the_data(batch_size: int) -> None:
    expected = make_trainer()
    expected.fit(X, Y, epochs=3, batch_size=12, seed=0)
    trainer = make_trainer()
    history = trainer.fit(X, Y, epochs=3, batch_size=batch_size, seed=0)
    np.testing.assert_array_equal(trainer.network.flat.values, expected.network.flat.values)
    assert len(history) == 3


def test_validation_data_and_split() -> None:
    with pytest.raises(ValueError, match="both") as caught:
        make_trainer().fit(X, Y, epochs=1, validation_data=(X, Y), validation_split=0.2)
    assert str(caught.value) == "give validation_data or validation_split, not both"


@pytest.mark.parametrize("given", [(X,), (X, Y, None, None), [X, Y], X, 0.2])
def test_validation_data_is_a_tuple(given: Any) -> None:
    with pytest.raises(ValueError, match="validation data") as caught:
        make_trainer().fit(X, Y, epochs=1, validation_data=given)
    assert str(caught.value) == (
        "validation data must be a tuple (x, y) or (x, y, sample_weight), or a data set with "
        "__len__ and take(indices)"
    )


def test_a_vector_where_a_scaler_is() -> None:
    network = tg.NeuralNetwork(
        tg.Dense(3, 1),
        loss=tg.MSELoss(),
        input_scaler=tg.Standardizer(),
        target_scaler=tg.Standardizer(),
    )
    trainer = tg.Trainer(network, tg.SGD(0.1))
    with pytest.raises(tg.ShapeError) as caught:
        trainer.fit(X, Y[:, 0], epochs=1)
    assert str(caught.value) == (
        "y has shape (12,); its scaler expects (rows, columns): for one column use y.reshape(-1, 1)"
    )
    with pytest.raises(tg.ShapeError, match=r"^x has shape \(12,\); its scaler expects"):
        trainer.fit(X[:, 0], Y, epochs=1)


def test_data_frames() -> None:
    plain, frames = make_trainer(), make_trainer()
    plain.fit(X, Y, epochs=2, seed=0, validation_data=(X, Y), sample_weight=np.arange(12.0))
    x = pd.DataFrame(X, columns=["a", "b", "c"], index=range(100, 112))
    y = pd.DataFrame({"target": Y[:, 0]}, index=range(100, 112))
    weight = pd.Series(np.arange(12.0), index=range(100, 112))
    frames.fit(x, y, epochs=2, seed=0, validation_data=(x, y), sample_weight=weight)
    np.testing.assert_array_equal(plain.network.flat.values, frames.network.flat.values)
    assert plain.evaluate(X, Y) == frames.evaluate(x, y)
    frames.fit(x, y, epochs=1, validation_split=0.25, sample_weight=weight)


def test_lists_integers_and_booleans() -> None:
    lists = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    results = []
    for x in (lists, np.array(lists, np.int8), np.array(lists, np.float16)):
        trainer = make_trainer()
        history = trainer.fit(x, [[1], [0], [1]], epochs=2, seed=0)
        trainer.fit(x, np.array([[True], [False], [True]]), epochs=1, seed=0)
        results.append(trainer.network.flat.values)
        assert "y converted from int64 to the network's float64" in history.notes
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_arrays_given_are_not_changed() -> None:
    x, y, weight = X.copy(), Y.copy(), np.arange(12.0)
    for array in (x, y, weight):
        array.flags.writeable = False
    make_trainer().fit(x, y, epochs=2, sample_weight=weight)
    make_trainer().fit(x, y, epochs=2, validation_split=0.5)
    np.testing.assert_array_equal(x, X)

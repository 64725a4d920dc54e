"""History: arrays, a dict for JSON, a data frame, a figure."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

import typegrad as tg


def make_history() -> tg.History:
    return tg.History(
        seed=5,
        records=[
            tg.EpochRecord(1, 4.0, 0.1, 0.5),
            tg.EpochRecord(2, 2.0, 0.05, 1.0, 3.0, {"validation_rmse": math.inf}, evaluated=True),
        ],
        stop_reason="converged",
        best_epoch=2,
        notes=["x converted"],
    )


def fit(seed: int | None = 0) -> tg.History:
    x = np.random.default_rng(0).normal(size=(20, 2))
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0)
    return tg.Trainer(network, tg.SGD(0.01)).fit(
        x, x[:, :1], epochs=5, evaluate_every=2, validation_split=0.25, seed=seed
    )


def test_columns() -> None:
    history = make_history()
    assert len(history) == 2
    np.testing.assert_array_equal(history.epochs, [1, 2])
    np.testing.assert_array_equal(history.training_loss, [4.0, 2.0])
    np.testing.assert_array_equal(history.validation_loss, [np.nan, 3.0])
    np.testing.assert_array_equal(history.learning_rates, [0.1, 0.05])
    np.testing.assert_array_equal(history.seconds, [0.5, 1.0])
    assert list(history.metrics) == ["validation_rmse"]
    np.testing.assert_array_equal(history.metrics["validation_rmse"], [np.nan, np.inf])


def test_it_shows_how_it_ended_not_every_epoch() -> None:
    assert repr(make_history()) == (
        "History(2 epochs, 'converged', training loss 2, validation loss 3, validation rmse inf)"
    )
    assert repr(tg.History(seed=0)) == "History(0 epochs, 'finished')"


def test_dict_is_strict_json() -> None:
    assert json.loads(json.dumps(make_history().to_dict(), allow_nan=False)) == {
        "seed": 5,
        "stop_reason": "converged",
        "best_epoch": 2,
        "notes": ["x converted"],
        "batch_size": None,
        "batch_choice": None,
        "epoch": [1, 2],
        "training_loss": [4.0, 2.0],
        "validation_loss": [None, 3.0],
        "learning_rate": [0.1, 0.05],
        "seconds": [0.5, 1.0],
        "validation_rmse": [None, None],
    }


@pytest.mark.parametrize("seed", [None, np.int64(3), np.uint8(7)])
def test_dict_of_a_real_training_is_strict_json(seed: int | None) -> None:
    history = fit(seed)
    read = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert read == history.to_dict()
    assert read["validation_loss"][0] is None
    assert read["validation_loss"][4] == history.validation_loss[4]


def test_a_real_training() -> None:
    history = fit()
    np.testing.assert_array_equal(history.epochs, np.arange(1, 6))
    evaluated = [record.evaluated for record in history.records]
    assert evaluated == [False, True, False, True, True]
    np.testing.assert_array_equal(~np.isnan(history.validation_loss), evaluated)
    np.testing.assert_array_equal(~np.isnan(history.metrics["validation_r2"]), evaluated)
    assert np.all(np.diff(history.seconds) > 0)
    assert history.seconds[0] > 0
    assert history.stop_reason == "finished"
    assert history.notes == [
        "x converted from float64 to the network's float32",
        "y converted from float64 to the network's float32",
        "engine: planned; the training is too short to be worth native code",
    ]


def test_no_notes_of_conversion_when_nothing_is_converted() -> None:
    x = np.ones((4, 2), np.float32)
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss())
    history = tg.Trainer(network, tg.SGD(0.01)).fit(x, x[:, :1], epochs=1)
    assert history.notes == ["engine: planned; the training is too short to be worth native code"]


def test_dataframe() -> None:
    history = fit()
    frame = history.to_dataframe()
    assert list(frame.columns) == [
        *["epoch", "training_loss", "validation_loss", "learning_rate", "seconds"],
        *["validation_rmse", "validation_mae", "validation_r2"],
    ]
    assert len(frame) == 5
    np.testing.assert_array_equal(frame["training_loss"], history.training_loss)
    np.testing.assert_array_equal(frame["validation_r2"], history.metrics["validation_r2"])


def test_dataframe_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(tg.MissingExtraError) as caught:
        make_history().to_dataframe()
    assert str(caught.value) == (
        "History.to_dataframe needs pandas, which is not installed: "
        "run `pip install 'typegrad[dataframe]'`"
    )


def test_plot_returns_a_figure() -> None:
    figure = fit().plot()
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert len(labels) == 2


def test_empty_history() -> None:
    history = tg.History(seed=0)
    assert len(history) == 0
    assert history.training_loss.shape == history.epochs.shape == (0,)
    assert history.metrics == {}
    assert history.to_dict()["training_loss"] == []
    assert len(history.to_dataframe()) == 0

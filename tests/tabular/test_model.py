"""TableModel: a network with what reads tables for it."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.tabular import TableModel
from typegrad.tabular.report import metrics_table

TABLE = tg.Table({"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 8.0]}, source="line.csv")
ENCODER = tg.TableEncoder.fit(TABLE, "y")


def model() -> TableModel:
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss(), seed=0, dtype=np.float64)
    network.parameters["0.weight"].value[...] = 2.0
    network.parameters["0.bias"].value[...] = 1.0
    return TableModel(network, ENCODER)


def test_predictions_and_figures() -> None:
    line = model()
    np.testing.assert_allclose(line.predict(TABLE), [[1.0], [3.0], [5.0], [7.0]])
    figures = line.evaluate(TABLE)
    assert figures == pytest.approx({"rmse": 0.5, "mae": 0.25, "r2": 1 - 1.0 / 26.75})
    assert line.target_name == "y"
    assert line.prediction_names == ("y",)
    assert line.details == {}
    assert repr(line).startswith("TableModel('y' from x; NeuralNetwork(Dense(1, 1), loss=MSELoss()")


def test_other_columns_and_another_order_do_not_matter() -> None:
    other = tg.Table({"name": ["a", "b"], "x": [5.0, 6.0]})
    np.testing.assert_allclose(model().predict(other), [[11.0], [13.0]])


def test_a_table_without_the_target_can_be_predicted_but_not_evaluated() -> None:
    with pytest.raises(tg.DataError, match="the target: no column 'y'"):
        model().evaluate(tg.Table({"x": [5.0]}))
    with pytest.raises(tg.DataError, match="no column 'x'"):
        model().predict(tg.Table({"z": [5.0]}))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("value", [1e300, -1e32])
def test_a_number_that_the_network_cannot_compute_with(value: float, scaled: bool) -> None:
    scaler = tg.Standardizer().fit(ENCODER.features(TABLE)) if scaled else None
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.MSELoss(), seed=0, input_scaler=scaler)
    far = tg.Table({"x": [0.0, value]}, source="far.csv")
    with pytest.raises(tg.DataError) as caught:
        TableModel(network, ENCODER).predict(far)
    assert str(caught.value) == (
        f"far.csv: row 2, column 'x': {value:g} is too large for the network's float32; "
        "correct it or leave it empty"
    )
    assert np.isfinite(TableModel(network, ENCODER).predict(tg.Table({"x": [1e28]}))).all()


def test_network_and_encoder_must_fit() -> None:
    wide = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss())
    with pytest.raises(tg.ShapeError, match="takes 2 features, but the encoder gives 1"):
        TableModel(wide, ENCODER)
    many = tg.NeuralNetwork(tg.Dense(1, 2), loss=tg.MSELoss())
    with pytest.raises(tg.ShapeError, match=r"wants 1 outputs for one target.* gives 2"):
        TableModel(many, ENCODER)
    with pytest.raises(tg.DataError, match="the encoder was fitted without a target"):
        TableModel(model().network, tg.TableEncoder.fit(TABLE.drop(["y"]), None))


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        ([12.3456, 1.23456], ["12.35", "1.23"]),
        ([1234.56, 999.9], ["1235", "1000"]),
        ([0.0123456, 0.5], ["0.0123", "0.5000"]),
        ([1e-9, 0.5], ["1e-09", "0.5"]),
        ([0.0, 2.0], ["0.00", "2.00"]),
        ([0.0, 0.0], ["0.00", "0.00"]),
    ],
)
def test_errors_line_up_and_show_three_digits(errors: list[float], shown: list[str]) -> None:
    metrics = {"test": {name: {"rmse": e} for name, e in zip("ab", errors, strict=True)}}
    lines = metrics_table(metrics, {"test": 1_234}).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == shown
    assert lines[1].split()[:2] == ["test", "1,234"]

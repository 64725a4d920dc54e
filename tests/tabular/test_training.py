"""Training on tables: splits, preprocessing, settings, figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import typegrad as tg
from typegrad.callbacks import Callback, EpochEnd
from typegrad.layers import ColumnEmbedding, Dropout
from typegrad.tabular import TrainingResult, train_table
from typegrad.tabular.options import make_optimizer
from typegrad.tabular.training import LINEAR, MEAN, NETWORK

CONCRETE = tg.datasets.load_concrete()
TARGET = "compressive_strength"


def mixed_table(rows: int = 120) -> tg.Table:
    """Numbers, categories and gaps, with a target that depends on all of them."""
    generator = np.random.default_rng(5)
    size = generator.normal(size=rows)
    kind = generator.choice(["ash", "elm", "oak"], size=rows)
    price = 3.0 * size + np.select([kind == "ash", kind == "elm"], [5.0, -5.0], 0.0) + 20.0
    size[::7] = np.nan
    kinds = [None if row % 11 == 0 else str(each) for row, each in enumerate(kind)]
    return tg.Table({"size": size, "kind": kinds, "price": price}, source="trees.csv")


def quick(table: tg.Table = CONCRETE, target: str = TARGET, **settings: Any) -> TrainingResult:
    return train_table(table, target, **{"epochs": 3, "hidden": (8,), "seed": 0, **settings})


def rows_of(table: tg.Table) -> set[int]:
    """Which rows of the whole table these are."""
    return {int(table.place(row).split()[-1]) for row in range(len(table))}


# --- parts ----------------------------------------------------------------------------------


def test_rows_are_parted_without_overlap() -> None:
    parts = quick().parts
    assert {name: len(part) for name, part in parts.items()} == {
        "training": 742, "validation": 82, "test": 206
    }  # fmt: skip
    numbers = [rows_of(part) for part in parts.values()]
    assert set.union(*numbers) == rows_of(CONCRETE)
    assert sum(len(each) for each in numbers) == len(CONCRETE)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"test": 0}, {"training": 927, "validation": 103}),
        ({"validation": 0}, {"training": 824, "test": 206}),
        ({"test": 0, "validation": 0}, {"training": 1030}),
        ({"test": 0.5, "validation": 0.5}, {"training": 257, "validation": 258, "test": 515}),
    ],
)
def test_shares(settings: dict[str, Any], expected: dict[str, int]) -> None:
    result = quick(**settings)
    assert {name: len(part) for name, part in result.parts.items()} == expected
    assert list(result.metrics) == list(expected)
    assert np.isnan(result.history.validation_loss).all() == ("validation" not in expected)


def test_a_small_table_still_has_a_row_in_each_part() -> None:
    parts = quick(tg.Table({"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]}), "y").parts
    assert [len(part) for part in parts.values()] == [2, 1, 1]


def test_the_same_seed_gives_the_same_model() -> None:
    first, second, other = quick(dropout=0.1), quick(dropout=0.1), quick(dropout=0.1, seed=1)
    np.testing.assert_array_equal(first.model.predict(CONCRETE), second.model.predict(CONCRETE))
    assert first.metrics == second.metrics
    assert rows_of(first.parts["test"]) != rows_of(other.parts["test"])
    assert quick(seed=None).history.seed != quick(seed=None).history.seed


def test_the_seed_that_was_drawn_gives_the_same_again() -> None:
    first = quick(seed=None)
    assert quick(seed=first.history.seed).metrics == first.metrics
    assert first.model.details["seed"] == first.history.seed


def test_preprocessing_sees_training_rows_alone() -> None:
    result = quick(mixed_table(), "price")
    network, training = result.model.network, result.parts["training"]
    size = training["size"]
    encoder = result.model.encoder
    assert encoder.to_dict() == tg.TableEncoder.fit(training, "price").to_dict()
    filled = np.where(np.isnan(size), np.median(size[~np.isnan(size)]), size)
    assert network.input_scaler is not None
    assert network.input_scaler.mean[0] == pytest.approx(filled.mean(), rel=1e-12)
    assert network.input_scaler.mean[1:].tolist() == [0.0] * (encoder.n_features - 1)
    assert network.target_scaler is not None
    assert network.target_scaler.scale == pytest.approx(training["price"].std(), rel=1e-12)


# --- figures --------------------------------------------------------------------------------


def test_figures_are_those_of_scikit_learn() -> None:
    result = quick(mixed_table(), "price", epochs=20)
    encoder, training = result.model.encoder, result.parts["training"]
    linear = LinearRegression().fit(encoder.features(training), training["price"])
    for part, table in result.parts.items():
        actual = table["price"]
        predictions = {
            NETWORK: result.model.predict(table)[:, 0],
            LINEAR: linear.predict(encoder.features(table)),
            MEAN: np.full(len(table), training["price"].mean()),
        }
        assert result.metrics[part].keys() == predictions.keys()
        for name, predicted in predictions.items():
            expected = {
                "rmse": root_mean_squared_error(actual, predicted),
                "mae": mean_absolute_error(actual, predicted),
                "r2": r2_score(actual, predicted),
            }
            # scikit-learn solves with a small cutoff of its own.
            assert result.metrics[part][name] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_report() -> None:
    result = quick(epochs=1)
    lines = result.report().splitlines()
    assert lines[0].split() == ["part", "rows", "predictor", "RMSE", "MAE", "R2"]
    assert [line.split()[0] for line in lines[1::3]] == ["training", "validation", "test"]
    linear = result.metrics["test"][LINEAR]
    assert lines[8].split()[-3:] == [
        f"{linear['rmse']:.2f}", f"{linear['mae']:.2f}", f"{linear['r2']:.3f}"
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1


def test_defaults_are_better_than_linear_regression_by_far() -> None:
    """Defaults were chosen on other splits; benchmarks compare ten with scikit-learn."""
    rest, test = CONCRETE.split(0.2, 0)
    result = train_table(rest, TARGET, test=0.0, seed=0)
    error = result.model.evaluate(test)
    assert error["rmse"] < 5.6
    assert error["r2"] > 0.87
    assert result.metrics["validation"][LINEAR]["rmse"] > 8.0


# --- settings -------------------------------------------------------------------------------

LOSSES: dict[str, tuple[str | tg.Loss, int]] = {
    "mse": ("mse", 1),
    "mae": ("mae", 1),
    "huber": ("huber", 1),
    "log_cosh": ("log_cosh", 1),
    "poisson": ("poisson", 1),
    "gaussian": ("gaussian", 2),
    "quantile": ("quantile", 3),
    "object": (tg.QuantileLoss((0.25, 0.75)), 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    loss, outputs = LOSSES[name]
    result = quick(loss=loss, epochs=30, hidden=(16,))
    model = result.model
    assert model.predict(CONCRETE).shape == (1030, outputs)
    assert len(model.prediction_names) == outputs
    assert result.metrics["test"][NETWORK]["rmse"] < 0.8 * result.metrics["test"][MEAN]["rmse"]
    assert (model.network.target_scaler is None) == (name == "poisson")


def test_predicted_quantiles_cover_what_they_say() -> None:
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, 2000)
    table = tg.Table({"x": x, "price": x + np.exp(x) * generator.normal(size=2000)})
    model = quick(table, "price", loss="quantile", epochs=60, hidden=(16,)).model
    assert model.prediction_names == ("price q0.1", "price q0.5", "price q0.9")
    low, middle, high = model.predict(table).T
    assert (low <= middle).all()
    assert (middle <= high).all()
    inside = np.mean((low < table["price"]) & (table["price"] < high))
    assert 0.75 < inside < 0.85
    np.testing.assert_array_equal(model.point_predictions(table)[:, 0], middle)


def test_a_predicted_deviation() -> None:
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, 2000)
    y = 10.0 * x + np.exp(x) * generator.normal(size=2000)
    table = tg.Table({"x": x, "y": y})
    model = train_table(table, "y", loss="gaussian", epochs=60, hidden=(32,), seed=0).model
    assert model.prediction_names == ("y mean", "y standard deviation")
    mean, deviation = model.predict(tg.Table({"x": [-0.8, 0.0, 0.8]})).T
    np.testing.assert_allclose(mean, [-8.0, 0.0, 8.0], atol=0.5)
    np.testing.assert_allclose(deviation, np.exp([-0.8, 0.0, 0.8]), rtol=0.25)


@pytest.mark.parametrize(
    "optimizer",
    ["adamw", "adam", "nadam", "radam", "lion", "sgd", "rmsprop", "adagrad", "adadelta", "lbfgs"],
)
def test_optimizers_by_name_have_defaults_that_learn(optimizer: str) -> None:
    result = train_table(CONCRETE, TARGET, optimizer=optimizer, epochs=25, seed=0)
    rmse = result.metrics["test"][NETWORK]["rmse"]
    assert rmse < 0.9 * result.metrics["test"][LINEAR]["rmse"]


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "linear", "constant", "plateau"])
def test_schedules_by_name(schedule: str) -> None:
    result = quick(schedule=schedule, epochs=6, learning_rate=0.01)
    rates = result.history.learning_rates
    assert rates.max() == pytest.approx(0.01, rel=0.2)
    constant = schedule in ("constant", "plateau")
    assert (rates[-1] == rates[0]) == constant


def test_options_of_an_optimizer() -> None:
    chosen = quick(weight_decay=0.25, schedule="constant", learning_rate=0.5, clip_norm=0.1)
    assert repr(chosen.optimizer).startswith("AdamW(learning_rate=0.5, weight_decay=0.25")
    own = tg.SGD(0.125)
    assert quick(optimizer=own).optimizer is own


@pytest.mark.parametrize(("rows", "decay"), [(4, 0.5), (160, 0.25), (400, 0.1), (9_000, 0.01)])
def test_weight_decay_falls_with_the_number_of_rows(rows: int, decay: float) -> None:
    made = make_optimizer("adamw", rows=rows)
    assert repr(made).startswith("AdamW(")
    assert made.config()["weight_decay"] == decay
    assert make_optimizer("adamw", weight_decay=0.125, rows=rows).config()["weight_decay"] == 0.125
    assert make_optimizer("adam", rows=rows).config()["weight_decay"] == 0.0


def test_hidden_layers_dropout_and_dtype() -> None:
    network = quick(hidden=(5, 4), activation="tanh", dropout=0.5, dtype="float64").model.network
    assert repr(network.layers) == (
        "(Dense(8, 5), Dropout(0.5), Dense(5, 4), Dropout(0.5), Dense(4, 1))"
    )
    assert isinstance(network.layers[1], Dropout)
    assert network.dtype == np.float64
    assert repr(quick(hidden=()).model.network.layers) == "(Dense(8, 1),)"


def test_no_hidden_layer_comes_close_to_linear_regression() -> None:
    metrics = train_table(CONCRETE, TARGET, hidden=(), optimizer="lbfgs", seed=0).metrics
    test = metrics["test"]
    assert test[NETWORK]["rmse"] == pytest.approx(test[LINEAR]["rmse"], rel=1e-3)


def test_embeddings() -> None:
    result = quick(mixed_table(), "price", categories="embedding", epochs=60)
    assert isinstance(result.model.network.layers[0], ColumnEmbedding)
    assert result.metrics["test"][NETWORK]["r2"] > 0.6
    assert LINEAR in result.metrics["test"]


def test_linear_regression_leaves_out_what_is_too_much_for_one_hot() -> None:
    rows = 1500
    names = [f"person {row}" for row in range(rows)]
    x = np.linspace(0.0, 1.0, rows)
    table = tg.Table({"x": x, "name": names, "y": 2.0 * x + 1.0})
    result = quick(table, "y", categories="embedding", epochs=1)
    assert result.metrics["test"][LINEAR]["rmse"] < 1e-12
    alone = quick(table.drop(["x"]), "y", categories="embedding", epochs=1)
    assert list(alone.metrics["test"]) == [NETWORK, MEAN]


@pytest.mark.parametrize(
    ("rows", "expected"), [(20, 16), (400, 32), (1000, 64), (3000, 256), (100_000, 256)]
)
def test_batch_size_by_the_number_of_rows(rows: int, expected: int) -> None:
    from typegrad.tabular.training import _default_batch_size

    assert _default_batch_size(rows) == expected


def test_early_stopping_keeps_the_best_weights() -> None:
    result = quick(early_stopping=2, epochs=200, hidden=(64,), schedule="constant")
    history = result.history
    assert history.best_epoch is not None
    assert len(history) == history.best_epoch + 2 < 200
    best = float(np.nanmin(history.validation_loss))
    assert best == history.validation_loss[history.best_epoch - 1]
    rmse = history.metrics["validation_rmse"][history.best_epoch - 1]
    assert result.metrics["validation"][NETWORK]["rmse"] == pytest.approx(rmse, rel=1e-5)


def test_callbacks_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[int] = []

    class Listen(Callback):
        def on_epoch_end(self, event: EpochEnd) -> None:
            heard.append(event.record.epoch)

    quick(callbacks=[Listen()], progress=True)
    assert heard == [1, 2, 3]
    assert "epoch" in capsys.readouterr().err


# --- what cannot be done --------------------------------------------------------------------


def with_last(column: str, value: float) -> tg.Table:
    """Forty rows, of which the last has an odd number in one column."""
    columns = {"x": np.arange(40.0), "y": np.arange(40.0) % 7}
    columns[column][-1] = value
    return tg.Table(columns, source="a.csv")


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no such target": (lambda: quick(target="weight"), tg.DataError, "no column 'weight'"),
    "one row": (
        lambda: quick(tg.Table({"x": [1.0], "y": [2.0]}, source="a.csv"), "y"),
        tg.DataError,
        r"a.csv: the table has 1 row; training needs at least 2$",
    ),
    "too few rows": (
        lambda: quick(tg.Table({"x": [1.0, 2, 3], "y": [2.0, 3, 4]}, source="a.csv"), "y"),
        tg.DataError,
        "a.csv: the table has 3 rows; with 1 for testing and 1 for validation less than 2 are "
        "left to train on",
    ),
    "constant target": (
        lambda: quick(tg.Table({"x": [1.0, 2, 3, 4, 5], "y": [2.0] * 5}, source="a.csv"), "y"),
        tg.DataError,
        "a.csv: the target 'y' is 2 in all 5 rows; there is nothing to learn",
    ),
    "share": (
        lambda: quick(test=1.0),
        ValueError,
        "test is 1.0; expected a share of the rows, from 0 to below 1",
    ),
    "other share": (lambda: quick(validation=-0.1), ValueError, "validation is -0.1; expected"),
    "stopping without validation": (
        lambda: quick(validation=0, early_stopping=3),
        ValueError,
        "early_stopping needs validation rows; validation is 0",
    ),
    "loss": (
        lambda: quick(loss="rmse"),
        ValueError,
        "loss is 'rmse'; expected mse, mae, huber, log_cosh, quantile, gaussian or poisson",
    ),
    "classes": (
        lambda: quick(loss=tg.CrossEntropyLoss()),
        ValueError,
        r"CrossEntropyLoss\(\) is not for predicting one number",
    ),
    "optimizer": (lambda: quick(optimizer="newton"), ValueError, "optimizer is 'newton'; expec"),
    "schedule": (lambda: quick(schedule="steps"), ValueError, "schedule is 'steps'; expected one"),
    "rate twice": (
        lambda: quick(optimizer=tg.SGD(0.1), learning_rate=0.2),
        ValueError,
        r"learning_rate is for an optimizer given by name; SGD\(.*\) has one",
    ),
    "decay of L-BFGS": (
        lambda: quick(optimizer="lbfgs", weight_decay=0.1),
        ValueError,
        "optimizer 'lbfgs' has no weight_decay",
    ),
    "schedule of L-BFGS": (
        lambda: quick(optimizer="lbfgs", schedule="cosine"),
        ValueError,
        "optimizer 'lbfgs' searches its step itself; it takes no schedule",
    ),
    "number out of range": (
        lambda: quick(with_last("x", -1e300), "y", seed=8),
        tg.DataError,
        r"^a.csv: row 40, column 'x': -1e\+300 is too large for the network's float32; correct it",
    ),
    "target out of range": (
        lambda: quick(with_last("y", 1e40), "y"),
        tg.DataError,
        r"^a.csv: row 40, column 'y': 1e\+40 is too large to be predicted in float32; "
        "rescale the column, or train with dtype float64$",
    ),
    "target out of any range": (
        lambda: quick(with_last("y", 1e160), "y", dtype="float64"),
        tg.DataError,
        "1e.160 is too large to be predicted in float64; rescale the column$",
    ),
    "diverges": (
        lambda: quick(learning_rate=1e30, epochs=5),
        tg.NumericalError,
        "Lower the learning rate",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_done(name: str) -> None:
    action, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        action()

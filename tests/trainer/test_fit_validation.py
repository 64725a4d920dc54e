"""Validation data and split: no leakage, deterministic, bounds; scalers; evaluation."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import EngineName
from typegrad.feeding import HeldSupply
from typegrad.fit_data import prepare
from typegrad.types import Array


def make_data(rows: int = 40) -> tuple[Array, Array]:
    """Rows that their first input tells apart."""
    generator = np.random.default_rng(9)
    x = np.column_stack([np.arange(rows), generator.normal(5.0, 3.0, rows)])
    return x, (10.0 * x[:, :1] + generator.normal(size=(rows, 1)) + 100.0)


def make_network(*, scaled: bool = True) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(2, 3, tg.Tanh()),
        tg.Dense(3, 1),
        loss=tg.MSELoss(),
        seed=0,
        dtype=np.float64,
        input_scaler=tg.Standardizer() if scaled else None,
        target_scaler=tg.Standardizer() if scaled else None,
    )


def split_rows(share: float, seed: int, rows: int = 40) -> tuple[set[int], set[int]]:
    data = prepare(make_network(scaled=False), make_data(rows), validation_split=share, seed=seed)
    assert isinstance(data.training, HeldSupply)
    assert isinstance(data.validation, HeldSupply)
    training, validation = data.training.data.inputs[:, 0], data.validation.data.inputs[:, 0]
    y = make_data(rows)[1]
    for part, supply in ((training, data.training), (validation, data.validation)):
        np.testing.assert_array_equal(supply.targets, y[part.astype(int)])
    return set(training.astype(int).tolist()), set(validation.astype(int).tolist())


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_split_parts_the_rows(share: float) -> None:
    training, validation = split_rows(share, seed=1)
    assert training | validation == set(range(40))
    assert not training & validation
    assert len(validation) == round(40 * share)
    assert split_rows(share, seed=1) == (training, validation)
    assert split_rows(share, seed=2)[1] != validation


def test_split_is_a_random_sample() -> None:
    """Each row is held out about as often as the share says."""
    counts = np.zeros(40)
    for seed in range(300):
        counts[list(split_rows(0.25, seed)[1])] += 1
    assert np.all(np.abs(counts / 300 - 0.25) < 0.12)  # 4.8 standard deviations


def test_scalers_see_training_rows_only() -> None:
    x, y = make_data()
    network = make_network()
    tg.Trainer(network, tg.SGD(0.01)).fit(x, y, epochs=1, validation_split=0.3, seed=6)
    training = sorted(split_rows(0.3, seed=6)[0])
    assert network.input_scaler is not None
    assert network.target_scaler is not None
    np.testing.assert_allclose(network.input_scaler.mean, x[training].mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(network.input_scaler.scale, x[training].std(axis=0), rtol=1e-13)
    np.testing.assert_allclose(network.target_scaler.mean, y[training].mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(network.target_scaler.scale, y[training].std(axis=0), rtol=1e-13)


def test_a_split_equals_validation_data_of_the_same_rows() -> None:
    x, y = make_data()
    training, validation = (sorted(rows) for rows in split_rows(0.3, seed=6))
    networks = [make_network(), make_network()]
    split = tg.Trainer(networks[0], tg.SGD(0.01)).fit(x, y, epochs=3, validation_split=0.3, seed=6)
    given = tg.Trainer(networks[1], tg.SGD(0.01)).fit(
        x[training], y[training], epochs=3, validation_data=(x[validation], y[validation]), seed=6
    )
    np.testing.assert_array_equal(networks[0].flat.values, networks[1].flat.values)
    np.testing.assert_array_equal(split.validation_loss, given.validation_loss)
    assert split.metrics.keys() == given.metrics.keys()


def test_training_by_hand_on_scaled_data_is_the_same() -> None:
    """What the scalers do inside is what a user would do outside."""
    x, y = make_data()
    inside, outside = make_network(), make_network(scaled=False)
    tg.Trainer(inside, tg.SGD(0.01)).fit(x, y, epochs=4, shuffle=False)
    mean, scale = y.mean(axis=0), y.std(axis=0)
    tg.Trainer(outside, tg.SGD(0.01)).fit(
        (x - x.mean(axis=0)) / x.std(axis=0), (y - mean) / scale, epochs=4, shuffle=False
    )
    np.testing.assert_allclose(inside.flat.values, outside.flat.values, rtol=1e-9)
    scaled = outside.predict((x - x.mean(axis=0)) / x.std(axis=0))
    np.testing.assert_allclose(inside.predict(x), scaled * scale + mean, rtol=1e-10)


def test_fitted_scalers_are_kept() -> None:
    x, y = make_data()
    network = make_network()
    assert network.input_scaler is not None
    network.input_scaler.fit(np.array([[0.0, 0.0], [2.0, 4.0]]))
    trainer = tg.Trainer(network, tg.SGD(0.01))
    trainer.fit(x, y, epochs=1)
    np.testing.assert_array_equal(network.input_scaler.mean, [1.0, 2.0])
    np.testing.assert_array_equal(network.input_scaler.scale, [1.0, 2.0])
    assert network.target_scaler is not None
    first = network.target_scaler.mean.copy()
    trainer.fit(x, y + 1000.0, epochs=1)
    np.testing.assert_array_equal(network.target_scaler.mean, first)


def test_metrics_are_in_the_targets_units_and_the_loss_is_not() -> None:
    x, y = make_data()
    network = make_network()
    trainer = tg.Trainer(network, tg.SGD(0.01), metrics=["rmse", "mse", "mae", "r2"])
    history = trainer.fit(x, y, epochs=2, validation_data=(x, y))
    error = network.predict(x) - y
    assert history.metrics["validation_rmse"][-1] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert history.metrics["validation_mae"][-1] == pytest.approx(np.mean(np.abs(error)))
    assert history.validation_loss[-1] == pytest.approx(np.mean(error**2) / y.var())
    assert trainer.evaluate(x, y) == {
        "loss": history.validation_loss[-1],
        **{name: history.metrics[f"validation_{name}"][-1] for name in trainer.metrics},
    }
    assert list(trainer.evaluate(x, y)) == ["loss", "rmse", "mse", "mae", "r2"]


def test_without_validation_data_metrics_are_those_of_training() -> None:
    x, y = make_data()
    network = make_network()
    trainer = tg.Trainer(network, tg.SGD(0.01))
    history = trainer.fit(x, y, epochs=2)
    assert list(history.metrics) == ["training_rmse", "training_mae", "training_r2"]
    assert history.metrics["training_rmse"][-1] == trainer.evaluate(x, y)["rmse"]
    assert np.isnan(history.validation_loss).all()


@pytest.mark.parametrize("engine", ["eager", "planned", "compiled"])
@pytest.mark.parametrize("validates", [False, True])
def test_outputs_of_several_axes(engine: EngineName, validates: bool) -> None:
    generator = np.random.default_rng(4)
    codes = generator.integers(0, 10, (40, 2)).astype(np.float32)
    targets = generator.normal(size=(40, 2, 3)).astype(np.float32)
    network = tg.NeuralNetwork(tg.Embedding(10, 3), loss=tg.MSELoss(), seed=0)
    trainer = tg.Trainer(network, tg.Adam(0.01), engine=engine, metrics=("rmse", "mae", "r2"))
    held_out = (codes[:9], targets[:9]) if validates else None
    history = trainer.fit(codes, targets, epochs=3, batch_size=16, validation_data=held_out)
    x, y = held_out or (codes, targets)
    prediction = network.predict(x)
    found = list(history.records[-1].metrics.values())
    expected = [metric(prediction, y, None) for metric in trainer.metrics.values()]
    assert found == pytest.approx(expected, rel=1e-6)


def test_evaluation_uses_inference_mode_and_leaves_no_trace() -> None:
    x, y = make_data()
    network = tg.NeuralNetwork(
        tg.BatchNorm(2), tg.Dropout(0.5), tg.Dense(2, 1), loss=tg.MSELoss(), dtype=np.float64
    )
    trainer = tg.Trainer(network, tg.SGD(0.01))
    before = network.state_dict()
    first = trainer.evaluate(x, y)
    assert trainer.evaluate(x, y) == first
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_evaluation_in_parts_is_the_whole() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(20_001, 2))
    y = generator.normal(size=(20_001, 1))
    network = make_network(scaled=False)
    expected = np.mean((network.predict(x) - y) ** 2)
    assert tg.Trainer(network, tg.SGD(0.1)).evaluate(x, y)["loss"] == pytest.approx(
        expected, rel=1e-12
    )


def test_evaluating_never_fits_scalers() -> None:
    network = make_network()
    with pytest.raises(tg.StateError) as caught:
        tg.Trainer(network, tg.SGD(0.1)).evaluate(*make_data())
    assert str(caught.value) == (
        "this Standardizer is not fitted; call fit(x) with the training rows first"
    )
    assert network.input_scaler is not None
    assert not network.input_scaler.fitted


X, Y = make_data()


@pytest.mark.parametrize(
    ("x", "y", "validation_data"),
    [
        (np.column_stack([X, X]), Y, None),
        (X, Y[:, 0], None),
        (X, Y, (X, np.column_stack([Y, Y]))),
        (X * 4e306, Y, None),
    ],
    ids=["columns", "target", "validation", "overflow"],
)
def test_refused_data_leaves_scalers_unfitted(
    x: Array, y: Array, validation_data: tuple[Array, Array] | None
) -> None:
    network = make_network()
    trainer = tg.Trainer(network, tg.SGD(0.01))
    with pytest.raises(tg.TypegradError):
        trainer.fit(x, y, epochs=1, validation_data=validation_data)
    assert network.input_scaler is not None
    assert network.target_scaler is not None
    assert not network.input_scaler.fitted
    assert not network.target_scaler.fitted
    trainer.fit(X, Y, epochs=1)
    np.testing.assert_allclose(network.input_scaler.mean, X.mean(axis=0), rtol=1e-13)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5, 0.01, 0.99, float("nan")])
def test_bounds_of_the_split(share: float) -> None:
    with pytest.raises(ValueError, match="validation_split") as caught:
        tg.Trainer(make_network(), tg.SGD(0.1)).fit(*make_data(), epochs=1, validation_split=share)
    assert str(caught.value) == (
        f"validation_split is {share}; of 40 rows it leaves none for training or for "
        "validation, expected a share between 0 and 1"
    )


def test_the_smallest_splits() -> None:
    assert len(split_rows(0.5, seed=0, rows=2)[1]) == 1
    assert len(split_rows(0.02, seed=0)[1]) == 1
    assert len(split_rows(0.98, seed=0)[0]) == 1

"""Losses with outputs of their own: quantiles, distributions, counts, classes."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array, Vector

ROWS = 4000


def make_inputs() -> tuple[Array, np.random.Generator]:
    generator = np.random.default_rng(8)
    return generator.uniform(-1.0, 1.0, size=(ROWS, 1)), generator


def make_network(outputs: int, loss: tg.Loss, *, scaled: bool = True) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(1, 16, tg.Tanh()),
        tg.Dense(16, outputs),
        loss=loss,
        seed=1,
        dtype=np.float64,
        target_scaler=tg.Standardizer() if scaled else None,
    )


@pytest.mark.parametrize("non_crossing", [False, True])
def test_quantiles_are_in_target_units(non_crossing: bool) -> None:
    """Noise whose spread depends on x: the share of targets below each quantile is right."""
    x, generator = make_inputs()
    y = 500.0 + 100.0 * x + (20.0 + 15.0 * x) * generator.normal(size=x.shape)
    levels = (0.1, 0.5, 0.9)
    network = make_network(3, tg.QuantileLoss(levels, non_crossing=non_crossing))
    trainer = tg.Trainer(network, tg.Adam(tg.CosineSchedule(0.02)), metrics=["mae", "rmse"])
    history = trainer.fit(x, y, epochs=25, batch_size=200, seed=0)
    quantiles = network.predict(x)
    assert quantiles.shape == (ROWS, 3)
    for half in (x[:, 0] < 0, x[:, 0] >= 0):
        below = np.mean(y[half] <= quantiles[half], axis=0)
        np.testing.assert_allclose(below, levels, atol=0.03)
    true_width = 2 * 1.2816 * (20.0 + 15.0 * x[:, 0])
    width = quantiles[:, 2] - quantiles[:, 0]
    assert np.corrcoef(width, true_width)[0, 1] > 0.97
    assert np.mean(width) == pytest.approx(np.mean(true_width), rel=0.05)
    # Metrics judge the quantile nearest to the median.
    assert history.metrics["training_mae"][-1] == pytest.approx(
        np.mean(np.abs(quantiles[:, 1:2] - y)), rel=1e-9
    )


def test_a_constant_quantile_is_that_of_the_sample() -> None:
    """Without inputs that matter, the pinball loss is least at the sample's own quantiles."""
    _, generator = make_inputs()
    y = generator.gamma(2.0, 50.0, size=(ROWS, 1))
    network = tg.NeuralNetwork(
        tg.Dense(1, 2),
        loss=tg.QuantileLoss((0.25, 0.8)),
        seed=0,
        dtype=np.float64,
        target_scaler=tg.Standardizer(),
    )
    tg.Trainer(network, tg.Adam(tg.LinearSchedule(0.05))).fit(
        np.zeros((ROWS, 1)), y, epochs=40, batch_size=100, seed=0
    )
    np.testing.assert_allclose(
        network.predict(np.zeros((1, 1)))[0], np.quantile(y, [0.25, 0.8]), rtol=0.02
    )


def test_gaussian_mean_and_standard_deviation_are_in_target_units() -> None:
    x, generator = make_inputs()
    mean = -300.0 + 50.0 * x
    deviation = 10.0 * np.exp(x)
    y = mean + deviation * generator.normal(size=x.shape)
    network = make_network(2, tg.GaussianNLLLoss())
    trainer = tg.Trainer(network, tg.Adam(tg.CosineSchedule(0.02)), metrics=["rmse"])
    history = trainer.fit(x, y, epochs=25, batch_size=200, seed=0)
    predicted = network.predict(x)
    np.testing.assert_allclose(predicted[:, :1], mean, atol=5.0)
    np.testing.assert_allclose(predicted[:, 1:], deviation, rtol=0.25)
    z = (y - predicted[:, :1]) / predicted[:, 1:]
    assert np.mean(z**2) == pytest.approx(1.0, abs=0.05)
    assert history.metrics["training_rmse"][-1] == pytest.approx(
        np.sqrt(np.mean((y - predicted[:, :1]) ** 2)), rel=1e-9
    )


def test_a_constant_gaussian_is_that_of_the_sample() -> None:
    """The likelihood is greatest at the sample's mean and standard deviation."""
    y = np.random.default_rng(0).normal(70.0, 4.0, size=(500, 1))
    network = tg.NeuralNetwork(
        tg.Dense(1, 2),
        loss=tg.GaussianNLLLoss(),
        seed=0,
        dtype=np.float64,
        target_scaler=tg.Standardizer(),
    )
    tg.Trainer(network, tg.LBFGS()).fit(np.zeros((500, 1)), y, epochs=100)
    np.testing.assert_allclose(network.predict(np.zeros((1, 1))), [[y.mean(), y.std()]], rtol=1e-4)


def test_poisson_rates() -> None:
    """With a linear network it is Poisson regression: residuals are orthogonal to inputs."""
    x, generator = make_inputs()
    y = generator.poisson(np.exp(1.0 + 0.8 * x)).astype(float)
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=tg.PoissonNLLLoss(), seed=0, dtype=np.float64)
    trainer = tg.Trainer(network, tg.LBFGS(), metrics=["mae"])
    history = trainer.fit(x, y, epochs=100)
    rates = network.predict(x)
    design = np.column_stack([np.ones(ROWS), x])
    np.testing.assert_allclose(design.T @ (rates - y) / ROWS, 0.0, atol=1e-5)
    np.testing.assert_allclose(network.flat.values, [0.8, 1.0], atol=0.05)
    assert history.metrics["training_mae"][-1] == pytest.approx(np.mean(np.abs(rates - y)))


def test_poisson_refuses_standardised_targets() -> None:
    x, generator = make_inputs()
    network = make_network(1, tg.PoissonNLLLoss())
    with pytest.raises(tg.DataError, match=r"do not standardise the target for this loss$"):
        tg.Trainer(network, tg.SGD(0.1)).fit(x, generator.poisson(3.0, x.shape), epochs=1)
    assert network.target_scaler is not None
    assert not network.target_scaler.fitted


@pytest.mark.parametrize("as_probabilities", [False, True])
def test_classes(as_probabilities: bool) -> None:
    x, _ = make_inputs()
    classes = np.digitize(x[:, 0], [-0.4, 0.3])
    y = np.eye(3)[classes] if as_probabilities else classes
    network = make_network(3, tg.CrossEntropyLoss(), scaled=False)
    trainer = tg.Trainer(network, tg.Adam(0.02))
    history = trainer.fit(x, y, epochs=15, batch_size=100, validation_split=0.2, seed=0)
    assert history.metrics == {}
    assert history.records[-1].evaluated
    probabilities = network.predict(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert np.mean(np.argmax(probabilities, axis=1) == classes) > 0.97
    expected = -np.mean(np.log(probabilities[np.arange(ROWS), classes]))
    assert trainer.evaluate(x, y) == {"loss": pytest.approx(expected, rel=1e-9)}


def test_metrics_of_classes() -> None:
    def accuracy(prediction: Array, target: Array, sample_weight: Vector | None) -> float:
        return float(np.average(prediction == target, weights=sample_weight))

    x, _ = make_inputs()
    classes = np.digitize(x[:, 0], [-0.4, 0.3])
    network = make_network(3, tg.CrossEntropyLoss(), scaled=False)
    trainer = tg.Trainer(network, tg.Adam(0.02), metrics=[accuracy, "mae"])
    history = trainer.fit(x, classes, epochs=15, batch_size=100, seed=0)
    chosen = np.argmax(network.predict(x), axis=1)
    assert history.metrics["training_accuracy"][-1] == np.mean(chosen == classes) > 0.97
    assert history.metrics["training_mae"][-1] == np.mean(np.abs(chosen - classes))


def test_classes_that_are_none() -> None:
    x, _ = make_inputs()
    trainer = tg.Trainer(make_network(2, tg.CrossEntropyLoss(), scaled=False), tg.SGD(0.1))
    with pytest.raises(tg.DataError, match=r"class numbers must be 0, 1, 2"):
        trainer.fit(x, np.full(ROWS, 0.5), epochs=1)


def test_a_loss_of_the_users_own() -> None:
    class Asymmetric(tg.losses.ElementwiseLoss):
        """Expectile loss: too low costs nine times as much as too high."""

        def terms(self, prediction: Array, target: Array) -> Array:
            return self._factor(prediction, target) * (prediction - target) ** 2

        def term_grads(self, prediction: Array, target: Array) -> Array:
            return 2.0 * self._factor(prediction, target) * (prediction - target)

        def _factor(self, prediction: Array, target: Array) -> Array:
            return np.where(prediction < target, 0.9, 0.1)

    y = np.random.default_rng(0).normal(size=(300, 1))
    network = tg.NeuralNetwork(tg.Dense(1, 1), loss=Asymmetric(), seed=0, dtype=np.float64)
    tg.Trainer(network, tg.LBFGS()).fit(np.zeros((300, 1)), y, epochs=50)
    expectile = float(network.predict(np.zeros((1, 1)))[0, 0])
    above, below = np.sum(np.maximum(y - expectile, 0)), np.sum(np.maximum(expectile - y, 0))
    assert 0.9 * above == pytest.approx(0.1 * below, rel=1e-4)


def test_several_targets_have_scales_of_their_own() -> None:
    x, generator = make_inputs()
    y = np.column_stack([1e4 + 1e3 * x[:, 0], 1e-3 * np.sin(2 * x[:, 0])])
    y += generator.normal(size=y.shape) * np.array([10.0, 1e-5])
    network = make_network(2, tg.MSELoss())
    tg.Trainer(network, tg.Adam(tg.CosineSchedule(0.02))).fit(
        x, y, epochs=20, batch_size=100, seed=0
    )
    error: Vector = np.sqrt(np.mean((network.predict(x) - y) ** 2, axis=0))
    assert np.all(error < [100.0, 1e-4])

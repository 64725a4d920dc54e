"""Training with L-BFGS: all rows each time, converging to machine precision."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array


def make_data(rows: int = 60) -> tuple[Array, Array]:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(rows, 4))
    y = x @ np.array([[1.0], [-2.0], [0.5], [3.0]]) + 0.7 + 0.1 * generator.normal(size=(rows, 1))
    return x, y


def make_network(*layers: tg.Layer) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        *(layers or (tg.Dense(4, 1),)), loss=tg.MSELoss(), seed=0, dtype=np.float64
    )


def precise() -> tg.LBFGS:
    return tg.LBFGS(tolerance_change=0.0, tolerance_grad=1e-14)


@pytest.mark.parametrize("batch_size", [1, 7, 60, 1000])
def test_linear_regression_to_machine_precision(batch_size: int) -> None:
    x, y = make_data()
    network = make_network()
    history = tg.Trainer(network, precise()).fit(x, y, epochs=200, batch_size=batch_size)
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
    np.testing.assert_allclose(network.parameters["0.weight"].value, expected[:4], rtol=1e-10)
    np.testing.assert_allclose(network.parameters["0.bias"].value, expected[4], rtol=1e-10)
    assert history.stop_reason == "converged"
    assert len(history) < 60


def test_weighted_linear_regression() -> None:
    x, y = make_data()
    weight = np.random.default_rng(0).uniform(0.0, 3.0, len(x))
    network = make_network()
    tg.Trainer(network, precise()).fit(x, y, epochs=200, sample_weight=weight)
    root = np.sqrt(weight)[:, None]
    design = np.column_stack([x, np.ones(len(x))])
    expected = np.linalg.lstsq(root * design, root * y, rcond=None)[0]
    np.testing.assert_allclose(network.parameters["0.weight"].value, expected[:4], rtol=1e-8)


def test_the_batch_size_only_bounds_memory() -> None:
    """Also with dropout, whose mask must then be one and the same each time."""
    x, y = make_data()
    results = []
    for batch_size in (60, 7):
        network = make_network(tg.Dense(4, 8, tg.Tanh()), tg.Dropout(0.3), tg.Dense(8, 1))
        history = tg.Trainer(network, tg.LBFGS()).fit(
            x, y, epochs=15, batch_size=batch_size, seed=1
        )
        assert np.all(np.diff(history.training_loss) < 0)
        results.append(network.flat.values)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


def test_losses_and_steps_are_those_reached() -> None:
    x, y = make_data()
    network = make_network()
    optimizer = tg.LBFGS()
    history = tg.Trainer(network, optimizer).fit(x, y, epochs=3, batch_size=8)
    assert len(history) == optimizer.steps == 3
    reached = float(np.mean((network.predict(x) - y) ** 2))
    assert history.training_loss[-1] == pytest.approx(reached, rel=1e-13)


def test_convergence_stops_and_the_last_epoch_is_evaluated() -> None:
    x, y = make_data()
    optimizer = tg.LBFGS()
    history = tg.Trainer(make_network(), optimizer).fit(
        x, y, epochs=500, evaluate_every=400, validation_data=make_data(10)
    )
    assert history.stop_reason == "converged"
    assert optimizer.converged
    assert len(history) < 400
    assert np.isfinite(history.validation_loss[-1])
    assert np.isnan(history.validation_loss[:-1]).all()


def test_a_converged_optimizer_fits_other_data() -> None:
    x, y = make_data()
    network = make_network()
    trainer = tg.Trainer(network, precise())
    trainer.fit(x, y, epochs=200)
    first = network.parameters["0.weight"].value.copy()
    history = trainer.fit(x, -y, epochs=200)
    np.testing.assert_allclose(network.parameters["0.weight"].value, -first, rtol=1e-9)
    assert history.stop_reason == "converged"


def test_fitting_again_where_nothing_is_left_to_do() -> None:
    x, y = make_data()
    network = make_network()
    trainer = tg.Trainer(network, tg.LBFGS(tolerance_grad=1e-6))
    trainer.fit(x, y, epochs=200)
    before = network.flat.values.copy()
    history = trainer.fit(x, y, epochs=200)
    assert history.stop_reason == "converged"
    assert len(history) <= 2
    np.testing.assert_allclose(network.flat.values, before, rtol=1e-5)


def test_running_statistics_are_those_of_accepted_points() -> None:
    """A line search tries points that it then rejects; batch normalisation must not see them."""
    x, y = make_data()
    network = make_network(tg.Dense(4, 6, tg.Tanh()), tg.BatchNorm(6), tg.Dense(6, 1))
    seen = []

    class Watch(tg.Callback):
        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            hidden = network.layers[0].forward(x)
            seen.append((hidden.mean(axis=0), hidden.var(axis=0, ddof=1)))

    tg.Trainer(network, tg.LBFGS(), callbacks=[Watch()]).fit(x, y, epochs=12, batch_size=60)
    mean, variance = np.zeros(6), np.ones(6)
    for batch_mean, batch_variance in seen:
        mean = 0.9 * mean + 0.1 * batch_mean
        variance = 0.9 * variance + 0.1 * batch_variance
    np.testing.assert_allclose(network.buffers["1.running_mean"].value, mean, rtol=1e-10)
    np.testing.assert_allclose(network.buffers["1.running_variance"].value, variance, rtol=1e-10)


def test_a_start_that_is_not_finite_names_the_operation() -> None:
    x, y = make_data()
    network = make_network(tg.BatchNorm(4), tg.Dense(4, 1))
    network.parameters["1.weight"].value[...] = 1e200
    before = {name: array.copy() for name, array in network.state_dict().items()}
    with pytest.raises(
        tg.NumericalError,
        match=r"^step 1: the output of MSELoss\(\) in the loss has infinity; the largest number",
    ):
        tg.Trainer(network, tg.LBFGS()).fit(x, y, epochs=3)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])

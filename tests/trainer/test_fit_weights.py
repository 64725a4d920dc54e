"""What each example counts: the short last batch, sample weights, validation weights."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array, Vector


def make_data(rows: int = 23) -> tuple[Array, Array]:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(rows, 3))
    return x, x[:, :1] - 2.0 * x[:, 1:2] + generator.normal(size=(rows, 1))


def make_network(dtype: type[np.floating] = np.float64) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 4, tg.Tanh()), tg.Dense(4, 1), loss=tg.MSELoss(), seed=0, dtype=dtype
    )


def weights_after(
    x: Array,
    y: Array,
    sample_weight: Vector | list[float] | None = None,
    batch_size: int = 1000,
    epochs: int = 5,
) -> Vector:
    network = make_network()
    tg.Trainer(network, tg.SGD(0.1)).fit(
        x, y, epochs=epochs, batch_size=batch_size, sample_weight=sample_weight, shuffle=False
    )
    return network.flat.values


@pytest.mark.parametrize("accumulation_steps", [1, 2, 3])
def test_mean_loss_of_an_epoch_counts_each_row_once(accumulation_steps: int) -> None:
    """A learning rate of zero makes it the loss of all rows."""
    x, y = make_data()
    network = make_network()
    trainer = tg.Trainer(network, tg.SGD(0.0), accumulation_steps=accumulation_steps)
    history = trainer.fit(x, y, epochs=2, batch_size=5)
    error = network.predict(x) - y
    np.testing.assert_allclose(history.training_loss, [np.mean(error**2)] * 2, rtol=1e-13)


def test_weighted_mean_loss_of_an_epoch_is_that_of_all_rows() -> None:
    x, y = make_data()
    weight = np.random.default_rng(2).uniform(0.0, 5.0, len(x))
    network = make_network()
    trainer = tg.Trainer(network, tg.SGD(0.0))
    history = trainer.fit(x, y, epochs=1, batch_size=5, sample_weight=weight)
    squares = np.square(network.predict(x) - y)[:, 0]
    expected = np.average(squares, weights=weight)
    np.testing.assert_allclose(history.training_loss, [expected], rtol=1e-13)
    assert trainer.evaluate(x, y, weight)["loss"] == pytest.approx(expected, rel=1e-13)
    assert trainer.evaluate(x, y, weight)["rmse"] == pytest.approx(expected**0.5, rel=1e-13)


def test_only_ratios_of_weights_matter() -> None:
    x, y = make_data()
    weight = np.random.default_rng(2).uniform(0.1, 5.0, len(x))
    expected = weights_after(x, y, weight, batch_size=5)
    for factor in (4.0, 1e-3, 1e307):
        np.testing.assert_allclose(
            weights_after(x, y, weight * factor, batch_size=5), expected, rtol=1e-12
        )


def test_equal_weights_are_no_weights() -> None:
    x, y = make_data()
    np.testing.assert_allclose(
        weights_after(x, y, np.full(len(x), 7.0), batch_size=5),
        weights_after(x, y, batch_size=5),
        rtol=1e-12,
    )


def test_a_whole_weight_is_as_many_copies_of_the_row() -> None:
    x, y = make_data()
    times = np.arange(len(x)) % 4  # Weight zero leaves a row out.
    np.testing.assert_allclose(
        weights_after(x, y, times.astype(float)),
        weights_after(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0)),
        rtol=1e-11,
    )


def test_a_batch_without_weight_changes_nothing() -> None:
    x, y = make_data(10)
    weight = np.array([1.0] * 5 + [0.0] * 5)
    network = make_network()
    trainer = tg.Trainer(network, tg.SGD(0.1))
    seen: list[Vector] = []

    class Losses(tg.Callback):
        step_interval = 1

        def on_step_end(self, event: tg.StepEnd) -> None:
            seen.append(event.losses)

    trainer.callbacks.append(Losses())
    trainer.fit(x, y, epochs=1, batch_size=5, sample_weight=weight, shuffle=False)
    assert seen[0] > 0
    assert seen[1] == 0.0


def test_validation_data_with_weights() -> None:
    x, y = make_data()
    validation_x, validation_y = make_data(9)
    weight = np.arange(9.0)
    network = make_network()
    history = tg.Trainer(network, tg.SGD(0.1), metrics=["mse", "max_error"]).fit(
        x, y, epochs=3, validation_data=(validation_x, validation_y, weight)
    )
    squares = np.square(network.predict(validation_x) - validation_y)[:, 0]
    expected = np.average(squares, weights=weight)
    assert history.validation_loss[-1] == pytest.approx(expected, rel=1e-12)
    assert history.metrics["validation_mse"][-1] == pytest.approx(expected, rel=1e-12)
    assert history.metrics["validation_max_error"][-1] == pytest.approx(
        np.sqrt(squares[1:].max()), rel=1e-12
    )


def test_split_takes_weights_along() -> None:
    """Rows that the loss could not forgive have no weight, wherever they land."""
    x, y = make_data(40)
    weight = np.ones(40)
    weight[::2] = 0.0
    y[::2] = 1e6
    history = tg.Trainer(make_network(), tg.SGD(0.05)).fit(
        x, y, epochs=2, validation_split=0.5, sample_weight=weight, seed=0
    )
    assert history.training_loss.max() < 100
    assert history.validation_loss.max() < 100


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(22), "data: sample_weight has shape (22,); expected (23,)"),
        (np.ones((23, 1)), "data: sample_weight has shape (23, 1); expected (23,)"),
        (
            np.array([1.0, 2.0, -1.0] + [1.0] * 20),
            "data: sample_weight[2] is -1.0; expected finite numbers, not negative",
        ),
        (
            np.array([np.nan] + [1.0] * 22),
            "data: sample_weight[0] is nan; expected finite numbers, not negative",
        ),
        (np.array(["a"] * 23), "data: sample_weight has dtype <U1; expected real numbers"),
        (np.zeros(23), "sample_weight is zero for all 23 rows"),
    ],
    ids=["short", "column", "negative", "nan", "text", "zeros"],
)
def test_bad_weights(weight: Vector, message: str) -> None:
    trainer = tg.Trainer(make_network(), tg.SGD(0.1))
    with pytest.raises(tg.TypegradError) as caught:
        trainer.fit(*make_data(), epochs=1, sample_weight=weight)
    assert str(caught.value) == message
    with pytest.raises(tg.TypegradError) as caught:
        trainer.fit(*make_data(), epochs=1, validation_data=(*make_data(), weight))
    assert str(caught.value) == f"validation {message}"


def test_weights_that_are_all_zero_after_the_split() -> None:
    weight = np.zeros(23)
    weight[4] = 1.0
    messages = set()
    for seed in range(8):
        with pytest.raises(tg.DataError) as caught:
            tg.Trainer(make_network(), tg.SGD(0.1)).fit(
                *make_data(), epochs=1, validation_split=0.5, sample_weight=weight, seed=seed
            )
        messages.add(str(caught.value))
    assert messages == {
        "sample_weight is zero for all 11 rows",
        "validation sample_weight is zero for all 12 rows",
    }

"""The same seed gives the same training, also in two parts."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array

EPOCHS = 6


def make_data() -> tuple[Array, Array]:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(45, 3))
    return x, np.tanh(x @ np.array([[1.0], [2.0], [-1.0]]))


def make_network() -> tg.NeuralNetwork:
    """Everything that has state: masks, running statistics, scalers."""
    return tg.NeuralNetwork(
        tg.Dense(3, 12, tg.ReLU()),
        tg.BatchNorm(12),
        tg.Dropout(0.25),
        tg.Dense(12, 1),
        loss=tg.MSELoss(),
        seed=0,
        input_scaler=tg.Standardizer(),
        target_scaler=tg.Standardizer(),
    )


def make_optimizer() -> tg.Adam:
    return tg.Adam(tg.CosineSchedule(0.01, warmup_fraction=0.2))


def fit(
    network: tg.NeuralNetwork,
    optimizer: tg.Optimizer | tg.LBFGS,
    seed: int | None = 4,
    *,
    epochs: int = EPOCHS,
    initial_epoch: int = 0,
    callbacks: tuple[tg.Callback, ...] = (),
) -> tg.History:
    trainer = tg.Trainer(network, optimizer, callbacks=callbacks)
    return trainer.fit(
        *make_data(),
        epochs=epochs,
        batch_size=8,
        validation_split=0.2,
        seed=seed,
        initial_epoch=initial_epoch,
    )


def assert_equal_states(first: tg.NeuralNetwork, second: tg.NeuralNetwork) -> None:
    states = first.state_dict(), second.state_dict()
    assert list(states[0]) == list(states[1])
    for name in states[0]:
        np.testing.assert_array_equal(states[0][name], states[1][name])


def comparable(history: tg.History) -> dict[str, object]:
    return {name: value for name, value in history.to_dict().items() if name != "seconds"}


def test_same_seed_same_bits() -> None:
    networks = [make_network(), make_network()]
    histories = [fit(network, make_optimizer()) for network in networks]
    assert_equal_states(*networks)
    assert comparable(histories[0]) == comparable(histories[1])


def test_other_seed_other_training() -> None:
    networks = [make_network(), make_network()]
    fit(networks[0], make_optimizer(), 4)
    fit(networks[1], make_optimizer(), 5)
    assert np.max(np.abs(networks[0].flat.values - networks[1].flat.values)) > 1e-3


def test_the_seed_is_that_of_dropout_too() -> None:
    """Rows in one order and the same first weights: only masks are left to differ."""
    losses = []
    for seed in (4, 5):
        network = tg.NeuralNetwork(
            tg.Dense(3, 12, tg.ReLU()),
            tg.Dropout(0.5),
            tg.Dense(12, 1),
            loss=tg.MSELoss(),
            seed=0,
        )
        history = tg.Trainer(network, tg.SGD(0.01)).fit(
            *make_data(), epochs=1, shuffle=False, seed=seed
        )
        losses.append(history.training_loss[0])
    assert losses[0] != losses[1]


def test_a_drawn_seed_is_told_and_repeats_the_training() -> None:
    networks = [make_network(), make_network(), make_network()]
    first = fit(networks[0], make_optimizer(), None)
    other = fit(networks[1], make_optimizer(), None)
    fit(networks[2], make_optimizer(), first.seed)
    assert first.seed != other.seed
    assert_equal_states(networks[0], networks[2])


def test_global_random_state_is_neither_used_nor_changed() -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # a tuple, as asked for  # noqa: NPY002
    fit(make_network(), make_optimizer(), None)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index]  # noqa: NPY002


class StopAfter(tg.Callback):
    """End training where the process might have ended."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        if event.record.epoch == self.epoch:
            event.trainer.stop("enough for today")


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_resuming_equals_never_having_stopped(epoch: int) -> None:
    whole = make_network()
    expected = fit(whole, make_optimizer())

    parts, optimizer = make_network(), make_optimizer()
    first = fit(parts, optimizer, callbacks=(StopAfter(epoch),))
    assert first.stop_reason == "enough for today"
    assert len(first) == epoch
    second = fit(parts, optimizer, initial_epoch=epoch)
    assert_equal_states(whole, parts)
    np.testing.assert_array_equal(
        np.concatenate([first.training_loss, second.training_loss]), expected.training_loss
    )
    np.testing.assert_array_equal(second.epochs, np.arange(epoch + 1, EPOCHS + 1))


@pytest.mark.parametrize("kind", ["adam", "plateau", "lbfgs"])
def test_resuming_from_copies_of_the_state(kind: str) -> None:
    """As after saving and loading: new objects that get the old ones' state."""

    def new_optimizer() -> tg.Optimizer | tg.LBFGS:
        if kind == "lbfgs":
            return tg.LBFGS()
        if kind == "adam":
            return make_optimizer()
        return tg.RMSProp(tg.ReduceOnPlateau(0.02, patience=0, threshold=0.5))

    def new_network() -> tg.NeuralNetwork:
        if kind != "lbfgs":
            return make_network()
        return tg.NeuralNetwork(
            tg.Dense(3, 4, tg.Tanh()), tg.Dense(4, 1), loss=tg.MSELoss(), seed=0
        )

    whole = new_network()
    fit(whole, new_optimizer())

    stopped, optimizer = new_network(), new_optimizer()
    fit(stopped, optimizer, callbacks=(StopAfter(3),))
    network_state = copy.deepcopy(stopped.state_dict())
    optimizer_state = copy.deepcopy(optimizer.state_dict())
    scalers = stopped.input_scaler, stopped.target_scaler
    fit(stopped, optimizer, epochs=1)  # What happens to the old objects is of no interest.

    resumed, new = new_network(), new_optimizer()
    resumed.load_state_dict(network_state)
    resumed.input_scaler, resumed.target_scaler = scalers
    new.load_state_dict(optimizer_state)
    fit(resumed, new, initial_epoch=3)
    assert_equal_states(whole, resumed)


def test_fitting_twice_goes_on_with_weights_and_optimizer() -> None:
    network, optimizer = make_network(), tg.Adam(0.01)
    first = fit(network, optimizer)
    steps = optimizer.steps
    second = fit(network, optimizer)
    assert optimizer.steps == 2 * steps
    assert len(first) == len(second) == EPOCHS
    assert second.training_loss[-1] < first.training_loss[-1]


def test_shuffle_visits_each_row_once_an_epoch_in_a_new_order() -> None:
    x = np.arange(20.0).reshape(-1, 1)
    orders: list[list[float]] = []

    class Spy(tg.Layer):
        def forward(self, x: Array, mode: tg.layers.Mode = tg.layers.INFERENCE) -> Array:
            if mode.training:
                orders[-1].extend(x[:, 0].tolist())
            return x

    class NewEpoch(tg.Callback):
        def on_train_begin(self, event: tg.TrainBegin) -> None:
            orders.append([])

        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            orders.append([])

    for shuffle in (True, False):
        network = tg.NeuralNetwork(Spy(), tg.Dense(1, 1), loss=tg.MSELoss(), seed=0)
        tg.Trainer(network, tg.SGD(0.0), callbacks=[NewEpoch()], engine="eager").fit(
            x, x, epochs=3, batch_size=6, shuffle=shuffle, seed=0
        )
        orders.pop()
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({tuple(order) for order in orders[:3]}) == 3
    assert orders[3:] == [list(range(20))] * 3

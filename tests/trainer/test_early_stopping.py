"""Early stopping: when it stops, and that the best weights come back."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array


def make_data() -> tuple[Array, Array, tuple[Array, Array]]:
    """Noise: the network learns the training rows by heart, and validation gets worse."""
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(24, 4)), generator.normal(size=(24, 1))
    validation = generator.normal(size=(30, 4)), generator.normal(size=(30, 1))
    return x, y, validation


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(4, 24, tg.Tanh()),
        tg.BatchNorm(24),
        tg.Dense(24, 1),
        loss=tg.MSELoss(),
        seed=0,
        dtype=np.float64,
    )


def fit(
    network: tg.NeuralNetwork,
    early_stopping: tg.EarlyStopping | int | None,
    *,
    epochs: int = 60,
    evaluate_every: int = 1,
    callbacks: tuple[tg.Callback, ...] = (),
    learning_rate: float = 0.01,
) -> tg.History:
    x, y, validation = make_data()
    return tg.Trainer(network, tg.Adam(learning_rate), callbacks=callbacks).fit(
        x,
        y,
        epochs=epochs,
        batch_size=8,
        validation_data=validation,
        early_stopping=early_stopping,
        evaluate_every=evaluate_every,
        seed=0,
    )


def validation_loss_of(network: tg.NeuralNetwork) -> float:
    return tg.Trainer(network, tg.SGD(0.1)).evaluate(*make_data()[2])["loss"]


def assert_best_restored(network: tg.NeuralNetwork, history: tg.History) -> None:
    losses = history.validation_loss
    best = int(np.nanargmin(losses))
    assert history.best_epoch == best + 1
    assert best + 1 < len(history), "the test shows nothing if the last epoch was the best"
    assert validation_loss_of(network) == losses[best]


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_stops_after_so_many_epochs_and_restores_the_best(patience: int) -> None:
    network = make_network()
    history = fit(network, patience)
    losses = history.validation_loss.tolist()
    assert_best_restored(network, history)
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + patience
    assert history.stop_reason == (
        f"early stopping: no improvement after epoch {best + 1} in {patience} evaluations"
    )


def test_without_it_the_last_weights_stay() -> None:
    network = make_network()
    history = fit(network, None, epochs=20)
    assert history.best_epoch is None
    assert validation_loss_of(network) == history.validation_loss[-1]


def test_restores_also_when_training_simply_finishes() -> None:
    network = make_network()
    history = fit(network, 1000, epochs=20)
    assert history.stop_reason == "finished"
    assert len(history) == 20
    assert_best_restored(network, history)


class InterruptAt(tg.Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        if event.record.epoch == self.epoch:
            signal.raise_signal(signal.SIGINT)


def test_restores_when_interrupted() -> None:
    network = make_network()
    history = fit(network, 1000, callbacks=(InterruptAt(20),))
    assert history.stop_reason == "interrupted"
    assert len(history) == 20
    assert_best_restored(network, history)


class PoisonAt(tg.Callback):
    """Makes a weight NaN at the end of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        if event.record.epoch == self.epoch:
            event.trainer.network.flat.values[0] = np.nan


def test_restores_when_training_dies() -> None:
    network = make_network()
    with pytest.raises(tg.NumericalError) as caught:
        fit(network, 1000, callbacks=(PoisonAt(20),))
    history = vars(caught.value)["history"]
    assert len(history) == 20
    assert_best_restored(network, history)


def test_evaluates_every_few_epochs_only() -> None:
    """Epochs between evaluations neither count nor compete with their training loss."""
    network = make_network()
    history = fit(network, 2, evaluate_every=3)
    losses = history.validation_loss
    evaluated = np.flatnonzero(~np.isnan(losses)) + 1
    np.testing.assert_array_equal(evaluated, np.arange(3, len(history) + 1, 3))
    assert history.best_epoch is not None
    assert len(history) == history.best_epoch + 2 * 3
    assert validation_loss_of(network) == np.nanmin(losses)
    assert history.training_loss.min() < np.nanmin(losses)


def test_a_training_loss_never_competes_with_validation_losses() -> None:
    """The training loss is far below; were it compared, no evaluation could be the best."""
    x, y, validation = make_data()
    network = make_network()
    history = tg.Trainer(network, tg.Adam(0.01)).fit(
        x,
        y,
        epochs=8,
        validation_data=(validation[0], validation[1] + 100.0),
        early_stopping=100,
        evaluate_every=2,
    )
    assert history.best_epoch == 2 * int(np.nanargmin(history.validation_loss[1::2])) + 2


def scripted(values: list[float], early_stopping: tg.EarlyStopping) -> tg.History:
    """Train with a metric that takes the given values, one an epoch."""
    script = iter(values)

    def score(prediction: Array, target: Array, sample_weight: object) -> float:
        return next(script)

    x, y, _ = make_data()
    trainer = tg.Trainer(make_network(), tg.SGD(0.01), metrics=[score])
    return trainer.fit(x, y, epochs=len(values), early_stopping=early_stopping)


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], {}, 5, 5),
        ([1, 2, 3, 4, 5], {}, 3, 1),
        ([5, 6, 4, 5, 3, 4, 5, 6], {}, 7, 5),
        ([5, 5, 5, 5], {}, 3, 1),  # Equal is no improvement.
        ([5, 4.6, 4.3, 3.9, 4, 4, 4], {"min_delta": 0.5}, 5, 3),
        ([5, 4.5, 4.6, 4], {"min_delta": 0.5}, 3, 1),  # As much as min_delta is not enough.
        ([1, 2, 3, 2, 2, 2], {"maximize": True}, 5, 3),
        ([3, 2, 1, 0], {"maximize": True}, 3, 1),
        ([-3, -2, -1, -1, -1], {"maximize": True, "min_delta": 1.5}, 5, 3),
        ([np.nan, 3, np.nan, 2, np.nan, np.nan, 1], {}, 6, 4),
        ([np.inf, 3, 4, 4], {}, 4, 2),
    ],
)
def test_patience_min_delta_and_direction(
    values: list[float], options: dict[str, float], epochs: int, best: int
) -> None:
    """By hand, with a patience of two."""
    stopping = tg.EarlyStopping(
        2, options.get("min_delta", 0.0), "training_score", maximize=bool(options.get("maximize"))
    )
    history = scripted(values, stopping)
    assert (len(history), history.best_epoch) == (epochs, best)


def test_nothing_but_nan() -> None:
    history = scripted([np.nan] * 5, tg.EarlyStopping(3, monitor="training_score"))
    assert history.stop_reason == "early stopping: no improvement in 3 evaluations"
    assert history.best_epoch is None


def test_monitors_r2() -> None:
    x, y, validation = make_data()
    network = make_network()
    trainer = tg.Trainer(network, tg.Adam(0.01), metrics=["r2"])
    history = trainer.fit(
        x,
        y,
        epochs=40,
        validation_data=validation,
        early_stopping=tg.EarlyStopping(3, monitor="validation_r2", maximize=True),
    )
    assert trainer.evaluate(*validation)["r2"] == history.metrics["validation_r2"].max()


@pytest.mark.parametrize("metrics", [None, ()])
def test_unknown_monitor(metrics: tuple[()] | None) -> None:
    x, y, validation = make_data()
    trainer = tg.Trainer(make_network(), tg.SGD(0.01), metrics=metrics)
    with pytest.raises(ValueError, match="monitor") as caught:
        trainer.fit(
            x,
            y,
            epochs=3,
            validation_data=validation,
            early_stopping=tg.EarlyStopping(monitor="val_loss"),
        )
    known = "training_loss, validation_loss"
    if metrics is None:
        known += ", validation_rmse, validation_mae, validation_r2"
    assert str(caught.value) == f"monitor is 'val_loss'; expected one of {known}"


def test_used_again_it_starts_afresh() -> None:
    stopping = tg.EarlyStopping(2)
    network = make_network()
    first = fit(network, stopping)
    second = fit(network, stopping, learning_rate=1e-12)
    assert first.best_epoch is not None
    assert second.best_epoch is not None
    assert len(second) <= 3 + second.best_epoch


class Snapshot(tg.Callback):
    """A user's checkpoint at the end of training."""

    def on_train_end(self, event: tg.TrainEnd) -> None:
        self.state = event.trainer.network.state_dict()
        self.best_epoch = event.history.best_epoch


def test_callbacks_find_the_best_weights_when_training_ends() -> None:
    snapshot = Snapshot()
    network = make_network()
    history = fit(network, 3, callbacks=(snapshot,))
    assert snapshot.best_epoch == history.best_epoch
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(snapshot.state[name], array)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "early_stopping is 0; expected a whole number of 1 or more"),
        (2.5, "early_stopping is 2.5; expected a whole number of 1 or more"),
        (True, "early_stopping is True; expected a whole number of 1 or more"),
    ],
)
def test_bad_patience_as_argument(given: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        fit(make_network(), given)


def test_patience_as_numpy_integer() -> None:
    assert len(fit(make_network(), np.int64(2))) == len(  # type: ignore[arg-type]  # users do it
        fit(make_network(), 2)
    )


def test_bad_options() -> None:
    with pytest.raises(
        ValueError, match=r"^EarlyStopping: patience is 0; expected a whole number of 1 or more$"
    ):
        tg.EarlyStopping(0)
    for value in (-0.1, float("nan"), float("inf")):
        with pytest.raises(
            ValueError, match=f"^EarlyStopping: min_delta is {value}; expected 0 or more$"
        ):
            tg.EarlyStopping(min_delta=value)

"""Ctrl-C: the step is finished, the history comes back, the handler is restored."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import typegrad as tg
from typegrad.interrupts import DeferredInterrupt
from typegrad.types import Array


@pytest.fixture(autouse=True)
def _handler_is_restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before


def make_data() -> tuple[Array, Array]:
    x = np.random.default_rng(0).normal(size=(23, 3))
    return x, x[:, :1] * 2.0


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 5, tg.Tanh()),
        tg.BatchNorm(5),
        tg.Dense(5, 1),
        loss=tg.MSELoss(),
        seed=0,
        dtype=np.float64,
    )


class InterruptAtStep(tg.Callback):
    step_interval = 1

    def __init__(self, epoch: int, step: int, times: int = 1) -> None:
        self.at = epoch, step
        self.times = times

    def on_step_end(self, event: tg.StepEnd) -> None:
        if (event.epoch, event.step) == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


class Losses(tg.Callback):
    step_interval = 1

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.epochs: list[int] = []
        self.reason = ""

    def on_step_end(self, event: tg.StepEnd) -> None:
        self.losses.extend(event.losses.tolist())

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        self.epochs.append(event.record.epoch)

    def on_train_end(self, event: tg.TrainEnd) -> None:
        self.reason = event.history.stop_reason


def fit(*callbacks: tg.Callback, epochs: int = 6) -> tuple[tg.History, tg.NeuralNetwork, tg.Adam]:
    network, optimizer = make_network(), tg.Adam(0.01)
    history = tg.Trainer(network, optimizer, callbacks=callbacks).fit(
        *make_data(), epochs=epochs, batch_size=5, seed=0, validation_data=make_data()
    )
    return history, network, optimizer


@pytest.mark.parametrize("step", [1, 3, 4])
def test_within_an_epoch(step: int) -> None:
    """Three whole epochs and some steps of five; the rest of the epoch is not evaluated."""
    heard = Losses()
    history, network, optimizer = fit(heard, InterruptAtStep(4, step))
    assert history.stop_reason == heard.reason == "interrupted"
    assert optimizer.steps == 3 * 5 + step == len(heard.losses)
    assert history.epochs.tolist() == heard.epochs == [1, 2, 3, 4]
    assert history.training_loss[-1] == pytest.approx(np.mean(heard.losses[-step:]))
    assert [record.evaluated for record in history.records] == [True, True, True, False]
    assert np.isnan(history.validation_loss[-1])
    assert np.isfinite(network.flat.values).all()

    undisturbed, _, _ = fit(whole := Losses())
    assert heard.losses == whole.losses[: len(heard.losses)]
    np.testing.assert_array_equal(undisturbed.training_loss[:3], history.training_loss[:3])


def test_after_the_last_step_of_an_epoch_it_is_evaluated() -> None:
    history, _, optimizer = fit(InterruptAtStep(2, 5))
    assert history.stop_reason == "interrupted"
    assert optimizer.steps == 10
    assert history.records[-1].evaluated


class InterruptAt(tg.Callback):
    def __init__(self, event: str) -> None:
        self.event = event

    def on_train_begin(self, event: tg.TrainBegin) -> None:
        self._raise("begin")

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        self._raise("epoch")

    def on_train_end(self, event: tg.TrainEnd) -> None:
        self._raise("end")

    def _raise(self, event: str) -> None:
        if event == self.event:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("event", "epochs"), [("begin", 0), ("epoch", 1), ("end", 6)])
def test_within_other_events(event: str, epochs: int) -> None:
    """It is never lost: the history always tells."""
    history, network, _ = fit(InterruptAt(event))
    assert history.stop_reason == "interrupted"
    assert len(history) == epochs
    if not epochs:
        np.testing.assert_array_equal(network.flat.values, make_network().flat.values)


def test_a_second_one_interrupts_at_once() -> None:
    heard = Losses()
    with pytest.raises(KeyboardInterrupt):
        fit(heard, InterruptAtStep(2, 2, times=2))
    assert len(heard.losses) == 7
    assert heard.reason == "KeyboardInterrupt: "


def test_full_batch_training() -> None:
    network = make_network()
    history = tg.Trainer(network, tg.LBFGS(), callbacks=[InterruptAtStep(3, 1)]).fit(
        *make_data(), epochs=50
    )
    assert history.stop_reason == "interrupted"
    assert len(history) == 3


def test_training_goes_on_afterwards() -> None:
    network = make_network()
    trainer = tg.Trainer(network, tg.Adam(0.01), callbacks=[InterruptAt("epoch")])
    assert len(trainer.fit(*make_data(), epochs=5)) == 1
    trainer.callbacks.clear()
    history = trainer.fit(*make_data(), epochs=5)
    assert (len(history), history.stop_reason) == (5, "finished")


def test_restored_after_an_error() -> None:
    class Broken(tg.Callback):
        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fit(Broken())


def test_in_another_thread() -> None:
    """Signals reach the main thread only, which is not disturbed."""
    results: list[tg.History] = []
    thread = threading.Thread(target=lambda: results.append(fit()[0]))
    thread.start()
    thread.join()
    assert results[0].stop_reason == "finished"


def test_a_handler_of_the_users_own_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with DeferredInterrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
        assert not interrupt.requested
        history = fit(InterruptAt("epoch"))[0]
        assert history.stop_reason == "finished"
        assert len(heard) == 1 + 6
    finally:
        signal.signal(signal.SIGINT, before)


SCRIPT = """
import json
import numpy as np
import typegrad as tg

class Started(tg.Callback):
    def on_epoch_end(self, event):
        if event.record.epoch == 3:
            print("started", flush=True)

x = np.random.default_rng(0).normal(size=(2000, 3))
network = tg.NeuralNetwork(tg.Dense(3, 64, tg.Tanh()), tg.Dense(64, 1), loss=tg.MSELoss(), seed=0)
optimizer = tg.Adam(0.001)
history = tg.Trainer(network, optimizer, callbacks=[Started()]).fit(
    x, x[:, :1], epochs=1_000_000, batch_size=16, seed=0
)
evaluated = [record.evaluated for record in history.records]
print(json.dumps({
    "reason": history.stop_reason,
    "epochs": len(history),
    "partial": evaluated.count(False),
    "whole_steps": 125 * evaluated.count(True),
    "steps": optimizer.steps,
    "finite": bool(np.isfinite(network.flat.values).all()),
}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_real_ctrl_c_in_a_process_of_its_own() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    told = json.loads(output)
    assert told["reason"] == "interrupted"
    assert told["epochs"] >= 3
    assert told["finite"]
    assert told["partial"] <= 1
    assert told["whole_steps"] <= told["steps"] <= told["whole_steps"] + 125

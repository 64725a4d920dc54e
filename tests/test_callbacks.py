"""Callbacks: what they hear, in which order, and what they may do; the progress bar."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array, Vector


def make_data(rows: int = 22) -> tuple[Array, Array]:
    x = np.random.default_rng(0).normal(size=(rows, 2))
    return x, x[:, :1]


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0, dtype=np.float64)


def fit(*callbacks: tg.Callback, **options: Any) -> tg.History:
    trainer = tg.Trainer(make_network(), tg.SGD(0.01), callbacks=callbacks)
    return trainer.fit(*make_data(), **{"epochs": 2, "batch_size": 5, "seed": 0, **options})


class Recorder(tg.Callback):
    def __init__(self, name: str, log: list[str], step_interval: int | None = None) -> None:
        self.name = name
        self.log = log
        self.step_interval = step_interval
        self.losses: list[Vector] = []

    def on_train_begin(self, event: tg.TrainBegin) -> None:
        assert len(event.history) == 0
        self.log.append(
            f"{self.name} begin {event.initial_epoch}/{event.epochs}x{event.steps_per_epoch}"
        )

    def on_step_end(self, event: tg.StepEnd) -> None:
        self.log.append(f"{self.name} step {event.epoch}.{event.step}")
        self.losses.append(event.losses)

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        assert event.history.records[-1] is event.record
        self.log.append(f"{self.name} epoch {event.record.epoch}")

    def on_train_end(self, event: tg.TrainEnd) -> None:
        self.log.append(f"{self.name} end {event.history.stop_reason}")


def test_order_of_events() -> None:
    log: list[str] = []
    fit(Recorder("a", log, 2), Recorder("b", log))
    assert log == [
        "a begin 0/2x5",
        "b begin 0/2x5",
        *["a step 1.2", "a step 1.4", "a step 1.5", "a epoch 1", "b epoch 1"],
        *["a step 2.2", "a step 2.4", "a step 2.5", "a epoch 2", "b epoch 2"],
        "a end finished",
        "b end finished",
    ]


def test_begin_tells_where_training_resumes() -> None:
    log: list[str] = []
    fit(Recorder("a", log), epochs=7, initial_epoch=6)
    assert log == ["a begin 6/7x5", "a epoch 7", "a end finished"]


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_step_intervals_of_several_callbacks(accumulation_steps: int) -> None:
    """Each hears every loss once, in pieces of its own interval, cut at the ends of epochs."""
    x, y = make_data(57)
    recorders = {interval: Recorder("", [], interval) for interval in (1, 2, 3, 5, 100)}
    trainer = tg.Trainer(
        make_network(),
        tg.SGD(0.01),
        callbacks=list(recorders.values()),
        accumulation_steps=accumulation_steps,
    )
    history = trainer.fit(x, y, epochs=3, batch_size=5, seed=0)
    steps = {1: 12, 2: 6}[accumulation_steps]
    every = np.concatenate(recorders[1].losses)
    assert len(every) == 3 * steps
    rows = np.full(steps, 5 * accumulation_steps)
    rows[-1] = 57 - rows[:-1].sum()
    for interval, recorder in recorders.items():
        np.testing.assert_array_equal(np.concatenate(recorder.losses), every)
        ends = [step for step in range(1, steps + 1) if step % interval == 0 or step == steps]
        heard = [entry for entry in recorder.log if " step " in entry]
        assert heard == [f" step {epoch}.{end}" for epoch in (1, 2, 3) for end in ends]
        assert [len(losses) for losses in recorder.losses] == np.diff([0, *ends]).tolist() * 3
    for epoch, losses in enumerate(every.reshape(3, steps)):
        assert history.training_loss[epoch] == pytest.approx(np.average(losses, weights=rows))


def test_listening_does_not_change_training() -> None:
    quiet = fit(epochs=3)
    heard = fit(Recorder("", [], 1), Recorder("", [], 3), epochs=3)
    np.testing.assert_array_equal(quiet.training_loss, heard.training_loss)


@pytest.mark.parametrize("interval", [0, -1, 1.5, True])
def test_bad_step_interval(interval: int) -> None:
    with pytest.raises(ValueError, match="step_interval") as caught:
        fit(Recorder("", [], interval))
    assert str(caught.value) == (
        f"Recorder.step_interval is {interval}; expected a whole number of 1 or more"
    )


def test_stop_ends_training_after_the_epoch() -> None:
    class Stop(tg.Callback):
        step_interval = 1

        def on_step_end(self, event: tg.StepEnd) -> None:
            if (event.epoch, event.step) == (2, 2):
                event.trainer.stop("that will do")

    recorder = Recorder("", [], 1)
    history = fit(Stop(), recorder, epochs=9, evaluate_every=5)
    assert history.stop_reason == "that will do"
    assert len(history) == 2
    assert len(recorder.losses) == 10
    assert history.records[-1].evaluated  # It was known to be the last one.
    assert not history.records[0].evaluated


def test_a_stop_does_not_outlast_the_training() -> None:
    class StopOnce(tg.Callback):
        done = False

        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            if not self.done:
                event.trainer.stop("once")
            self.done = True

    trainer = tg.Trainer(make_network(), tg.SGD(0.01), callbacks=[StopOnce()])
    assert trainer.fit(*make_data(), epochs=3).stop_reason == "once"
    assert trainer.fit(*make_data(), epochs=3).stop_reason == "finished"


@pytest.mark.parametrize("hook", ["on_step_end", "on_epoch_end"])
def test_an_error_in_a_callback_passes_and_all_hear_of_the_end(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: tg.Callback, event: object) -> None:
        raise ZeroDivisionError("my mistake")

    broken = tg.Callback()
    broken.step_interval = 2
    monkeypatch.setattr(tg.Callback, hook, fail)
    log: list[str] = []
    with pytest.raises(ZeroDivisionError, match=r"^my mistake$") as caught:
        fit(Recorder("a", log), broken, Recorder("b", log))
    assert log[:2] == ["a begin 0/2x5", "b begin 0/2x5"]
    assert log[-2:] == [f"{name} end ZeroDivisionError: my mistake" for name in ("a", "b")]
    assert "history" not in vars(caught.value)


def test_an_error_at_the_beginning_ends_what_had_begun() -> None:
    class Broken(tg.Callback):
        def on_train_begin(self, event: tg.TrainBegin) -> None:
            raise OSError("no room")

    log: list[str] = []
    with pytest.raises(OSError, match=r"^no room$"):
        fit(Recorder("a", log), Broken(), Recorder("b", log))
    assert log == ["a begin 0/2x5", "a end OSError: no room"]


def test_a_users_callback_may_change_the_weights() -> None:
    class KeepPositive(tg.Callback):
        step_interval = 1

        def on_step_end(self, event: tg.StepEnd) -> None:
            values = event.trainer.network.flat.values
            np.maximum(values, 0.0, out=values)

    network = make_network()
    x, y = make_data()
    tg.Trainer(network, tg.SGD(0.1), callbacks=[KeepPositive()]).fit(x, -y, epochs=5)
    assert network.flat.values.min() == 0.0


def without(module: str) -> Callable[[str], ModuleType]:
    def import_module(name: str, package: str | None = None) -> ModuleType:
        if name.partition(".")[0] == module:
            raise ImportError(name)
        return importlib.import_module(name, package)

    return import_module


def test_progress_with_tqdm(capsys: pytest.CaptureFixture[str]) -> None:
    fit(progress=True, epochs=3, validation_data=make_data())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "3/3" in captured.err
    assert "validation_rmse=" in captured.err


def test_progress_counts_epochs_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    fit(progress=True, epochs=8, initial_epoch=6)
    assert "8/8" in capsys.readouterr().err


def test_progress_bar_is_closed_when_training_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Bar:
        def __init__(self, **options: object) -> None: ...

        def close(self) -> None:
            closed.append("closed")

    class Broken(tg.Callback):
        def on_train_begin(self, event: tg.TrainBegin) -> None:
            raise OSError("no room")

    monkeypatch.setattr("tqdm.tqdm", Bar)
    with pytest.raises(OSError, match="no room"):
        fit(tg.ProgressBar(), Broken())
    assert closed == ["closed"]


@pytest.mark.parametrize(("epochs", "printed"), [(3, [1, 2, 3]), (25, list(range(2, 26, 2)))])
def test_progress_without_tqdm(
    epochs: int,
    printed: list[int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("typegrad.errors.import_module", without("tqdm"))
    history = fit(progress=True, epochs=epochs)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [int(line.split(":")[0].removeprefix("epoch ")) for line in lines] == printed
    first = history.records[printed[0] - 1]
    expected = ", ".join(f"{name}={value:.4g}" for name, value in first.values().items())
    assert lines[0] == f"epoch {first.epoch}: {expected}"


def test_no_progress_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    fit()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")

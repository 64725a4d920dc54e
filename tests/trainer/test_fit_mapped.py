"""Training from mapped files gives the bits of training from memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import typegrad as tg
from typegrad.feeding import Shuffle, supply
from typegrad.types import Array

ROWS = 20_000


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    assert "typegrad-prefetch" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts an epoch, which end within what 8192 rows are."""
    monkeypatch.setattr(supply, "_PART_BYTES", 60_000)


class Files:
    """The same examples in memory and in files."""

    def __init__(self, folder: Path, rows: int = ROWS, dtype: type = np.float32) -> None:
        generator = np.random.default_rng(0)
        self.x: Array = generator.normal(5.0, 3.0, (rows, 4)).astype(dtype)
        self.y: Array = (self.x[:, :2] * 2.0 + generator.normal(size=(rows, 2))).astype(dtype)
        self.weights = generator.uniform(size=rows)
        self.mapped = [self._map(folder, name) for name in ("x", "y", "weights")]

    def _map(self, folder: Path, name: str) -> Any:
        np.save(folder / f"{name}.npy", getattr(self, name))
        return np.load(folder / f"{name}.npy", mmap_mode="r")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("mapped"))


def make_network(*, scaled: bool = True) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(4, 8, "tanh"),
        tg.BatchNorm(8),
        tg.Dropout(0.1),
        tg.Dense(8, 2),
        loss=tg.MSELoss(),
        seed=0,
        input_scaler=tg.Standardizer() if scaled else None,
        target_scaler=tg.Standardizer() if scaled else None,
    )


def values_of(history: tg.History) -> str:
    """All of a history but times and notes, to the last digit; NaN where nothing is known."""
    return repr(
        {
            "training": history.training_loss.tolist(),
            "validation": history.validation_loss.tolist(),
            "rates": history.learning_rates.tolist(),
            "metrics": {name: values.tolist() for name, values in history.metrics.items()},
        }
    )


def assert_same(
    files: Files,
    engine: Literal["eager", "planned"] = "planned",
    *,
    mapped: tuple[bool, bool, bool] = (True, True, True),
    weighted: bool = False,
    **options: Any,
) -> None:
    given = [files.x, files.y, files.weights]
    read = [file if m else held for m, file, held in zip(mapped, files.mapped, given, strict=True)]
    runs = []
    for x, y, weights in (given, read):
        network = make_network()
        trainer = tg.Trainer(network, tg.Adam(0.01), engine=engine)
        history = trainer.fit(
            x, y, **{"epochs": 2, "seed": 3, **options}, sample_weight=weights if weighted else None
        )
        runs.append((network.state_dict(), values_of(history), history.notes))
    (held, held_values, held_notes), (streamed, streamed_values, notes) = runs
    assert held.keys() == streamed.keys()
    for name, value in held.items():
        np.testing.assert_array_equal(value, streamed[name], err_msg=name)
    assert held_values == streamed_values
    assert "rows are read while training goes on, a part at a time" in set(notes) - set(held_notes)


@pytest.mark.parametrize("engine", ["eager", "planned"])
@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_same_bits(files: Files, engine: Literal["eager", "planned"], shuffle: Shuffle) -> None:
    assert_same(files, engine, shuffle=shuffle, batch_size=256)


@pytest.mark.parametrize("batch_size", [100, 999, 8192, ROWS, 10**12])
def test_same_bits_at_every_batch_size(files: Files, batch_size: int) -> None:
    assert_same(files, batch_size=batch_size)


def test_same_bits_with_single_rows(tmp_path: Path) -> None:
    files = Files(tmp_path, rows=301)
    assert_same(files, batch_size=1)
    assert_same(files, batch_size=7, validation_split=0.5, shuffle="blocks")


def test_same_bits_with_validation_and_weights(files: Files) -> None:
    assert_same(files, batch_size=256, validation_split=0.3, weighted=True)
    assert_same(files, batch_size=256, weighted=True, mapped=(True, False, False))
    held_out = (files.x[:1000], files.y[:1000], files.weights[:1000])
    assert_same(files, batch_size=512, validation_data=held_out, mapped=(False, True, False))
    mapped_out = tuple(file[-9000:] for file in files.mapped)
    assert_same(files, batch_size=512, validation_data=mapped_out)


def test_same_bits_when_numbers_are_converted(tmp_path: Path) -> None:
    for dtype in (np.float64, np.int16):
        assert_same(Files(tmp_path, rows=3000, dtype=dtype), batch_size=50, validation_split=0.1)


def test_same_bits_with_steps_of_several_batches_and_callbacks(files: Files) -> None:
    heard: list[list[tuple[int, tuple[float, ...]]]] = []
    for x, y in ((files.x, files.y), files.mapped[:2]):

        class Steps(tg.Callback):
            step_interval = 7

            def __init__(self) -> None:
                self.heard: list[tuple[int, tuple[float, ...]]] = []

            def on_step_end(self, event: tg.StepEnd) -> None:
                self.heard.append((event.step, tuple(event.losses.tolist())))

        steps = Steps()
        trainer = tg.Trainer(
            make_network(), tg.SGD(0.01), callbacks=[steps], accumulation_steps=3, clip_norm=1.0
        )
        trainer.fit(x, y, epochs=2, batch_size=100, seed=0)
        heard.append(steps.heard)
    assert heard[0] == heard[1]
    # Of 67 steps an epoch, it hears each 7th and the last.
    assert [step for step, _ in heard[0]] == 2 * [*range(7, 67, 7), 67]


def test_going_on_gives_the_same_bits(files: Files) -> None:
    class StopAfterTwo(tg.Callback):
        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            if event.record.epoch == 2:
                event.trainer.stop("enough")

    x, y, _ = files.mapped
    options: dict[str, Any] = {"epochs": 4, "batch_size": 256, "seed": 5, "validation_split": 0.1}
    whole, parts = make_network(), make_network()
    tg.Trainer(whole, tg.Adam(tg.CosineSchedule(0.01))).fit(files.x, files.y, **options)
    optimizer = tg.Adam(tg.CosineSchedule(0.01))
    tg.Trainer(parts, optimizer, callbacks=[StopAfterTwo()]).fit(x, y, **options)
    tg.Trainer(parts, optimizer).fit(x, y, **options, initial_epoch=2)
    np.testing.assert_array_equal(whole.flat.values, parts.flat.values)


def test_evaluate_and_predict(files: Files) -> None:
    x, y, weights = files.mapped
    network = make_network()
    trainer = tg.Trainer(network, tg.Adam(0.01))
    trainer.fit(x, y, epochs=1, batch_size=512, seed=0)
    assert trainer.evaluate(x, y, weights) == trainer.evaluate(files.x, files.y, files.weights)
    predicted = network.predict(x)
    np.testing.assert_array_equal(predicted, network.predict(files.x, batch_size=8192))
    residual = predicted - files.y
    assert trainer.evaluate(x, y)["mae"] == pytest.approx(np.abs(residual).mean(), rel=1e-12)


def test_metrics_of_the_user_see_all_rows(files: Files) -> None:
    def median_error(prediction: Array, target: Array, weights: Array | None) -> float:
        assert weights is not None
        assert len(prediction) == len(target) == len(weights) == ROWS
        return float(np.median(np.abs(prediction - target)))

    trainer = tg.Trainer(make_network(), tg.Adam(0.01), metrics=["rmse", median_error])
    x, y, weights = files.mapped
    trainer.fit(x, y, sample_weight=weights, epochs=1, batch_size=512, seed=0)
    mapped = trainer.evaluate(x, y, weights)
    assert mapped == trainer.evaluate(files.x, files.y, files.weights)
    expected = np.median(np.abs(trainer.network.predict(files.x, batch_size=8192) - files.y))
    assert mapped["median_error"] == expected


@pytest.mark.parametrize("place", [(0, 0), (15_000, 2)])
def test_errors_name_the_row(files: Files, tmp_path: Path, place: tuple[int, int]) -> None:
    bad = files.x.copy()
    bad[place] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    x = np.load(tmp_path / "bad.npy", mmap_mode="r")
    message = (
        f"x has nan at row {place[0]}, column {place[1]}; drop or fill such rows first "
        "(a TableEncoder fills gaps)"
    )
    for scaled in (True, False):
        network = make_network(scaled=scaled)
        for shuffle in (True, False):
            with pytest.raises(tg.DataError) as caught:
                tg.Trainer(network, tg.SGD(0.001)).fit(x, files.y, epochs=1, shuffle=shuffle)
            assert str(caught.value) == message
        assert network.input_scaler is None or not network.input_scaler.fitted


def test_numbers_too_large_for_the_network(tmp_path: Path) -> None:
    files = Files(tmp_path, rows=500, dtype=np.float64)
    x = files.x.copy()
    x[123, 1] = 1e300
    np.save(tmp_path / "large.npy", x)
    mapped = np.load(tmp_path / "large.npy", mmap_mode="r")
    messages = []
    for given in (x, mapped):
        with pytest.raises(tg.DataError) as caught:
            tg.Trainer(make_network(scaled=False), tg.SGD(0.01)).fit(given, files.y, epochs=1)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("x has 1e+300 at row 123, column 1, which is too large")


def test_shapes_that_do_not_fit(files: Files) -> None:
    x, y, weights = files.mapped
    for given, message in (
        ((x[:, :3], y), f"x has shape ({ROWS}, 3); the network expects (rows, 4)"),
        (
            (x, y[:, :1]),
            f"MSELoss(): the prediction has shape ({ROWS}, 2) and the target ({ROWS}, 1); "
            "they must be equal",
        ),
        (
            (x, y[:-1]),
            f"x has shape ({ROWS}, 4) and y ({ROWS - 1}, 2); expected as many rows in both",
        ),
        (
            (x, y[:, 0]),
            f"y has shape ({ROWS},); its scaler expects (rows, columns): for one column use "
            "y.reshape(-1, 1)",
        ),
    ):
        with pytest.raises(tg.ShapeError) as caught:
            tg.Trainer(make_network(), tg.SGD(0.01)).fit(*given, epochs=1)
        assert str(caught.value) == message
    with pytest.raises(tg.DataError, match="sample_weight is zero for all 20000 rows"):
        tg.Trainer(make_network(), tg.SGD(0.01)).fit(x, y, epochs=1, sample_weight=0 * weights)


def test_an_optimizer_that_needs_all_rows_at_once(files: Files) -> None:
    x, y, _ = files.mapped
    with pytest.raises(TypeError) as caught:
        tg.Trainer(make_network(), tg.LBFGS()).fit(x, y, epochs=1)
    assert str(caught.value) == (
        "LBFGS needs all rows in memory at each step; give them as arrays, such as np.array(x), "
        "or take an optimizer such as tg.Adam()"
    )


def test_a_loss_that_becomes_nan_ends_the_thread(files: Files) -> None:
    x, y, _ = files.mapped
    network = tg.NeuralNetwork(tg.Dense(4, 2), loss=tg.MSELoss(), seed=0)
    with pytest.raises(tg.NumericalError):
        tg.Trainer(network, tg.SGD(1e6)).fit(x, y, epochs=5, batch_size=10)

"""Training on objects that somebody wrote: what they are asked, and what is said of bad answers."""

from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import typegrad as tg
from typegrad.data.dataset import DatasetRows
from typegrad.feeding import supply
from typegrad.types import Array, IntArray

ROWS = 3000
X = np.random.default_rng(0).normal(3.0, 2.0, (ROWS, 3))
Y = X[:, :1] * 2.0
WEIGHTS = np.random.default_rng(1).uniform(size=ROWS)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    assert "typegrad-prefetch" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply, "_PART_BYTES", 20_000)


class Held:
    """A data set of arrays, which remembers what it was asked."""

    def __init__(self, *, weighted: bool = False, rows: int = ROWS) -> None:
        self.weighted = weighted
        self.rows = rows
        self.asked: list[IntArray] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return self.rows

    def take(self, indices: IntArray) -> DatasetRows:
        self.asked.append(indices)
        self.threads.add(threading.current_thread().name)
        if self.weighted:
            return X[indices], Y[indices], WEIGHTS[indices]
        return X[indices], Y[indices]


class InBlocks(Held):
    """Its blocks are of different lengths."""

    block_lengths = (500, 1000, 800, 700)
    blocks_together = 2


class Changed(Held):
    """From some row on, it gives what a function makes of its rows."""

    def __init__(self, change: Callable[[Any, Any], Any], from_row: int = 0) -> None:
        super().__init__()
        self.change = change
        self.from_row = from_row

    def take(self, indices: IntArray) -> Any:
        x, y = super().take(indices)[:2]
        return self.change(x, y) if indices[-1] >= self.from_row else (x, y)


def make_network(*, scaled: bool = True) -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 8, "tanh"),
        tg.Dense(8, 1),
        loss=tg.MSELoss(),
        seed=0,
        input_scaler=tg.Standardizer() if scaled else None,
        target_scaler=tg.Standardizer() if scaled else None,
    )


def fit(data: Any, *, scaled: bool = True, **options: Any) -> tg.NeuralNetwork:
    network = make_network(scaled=scaled)
    arguments = {"epochs": 2, "batch_size": 32, "seed": 1, **options}
    arrays = data if isinstance(data, tuple) else (data,)
    tg.Trainer(network, tg.Adam(0.01)).fit(*arrays, **arguments)
    return network


def assert_equal(one: tg.NeuralNetwork, other: tg.NeuralNetwork) -> None:
    np.testing.assert_array_equal(one.flat.values, other.flat.values)


def test_it_has_the_protocol() -> None:
    assert isinstance(Held(), tg.Dataset)
    assert isinstance(InBlocks(), tg.BlockedDataset)
    assert not isinstance(Held(), tg.BlockedDataset)
    assert not isinstance([1, 2], tg.Dataset)


@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_same_bits_as_arrays(shuffle: Any) -> None:
    assert_equal(fit(Held(), shuffle=shuffle), fit((X, Y), shuffle=shuffle))
    weighted = fit(Held(weighted=True), shuffle=shuffle, validation_split=0.2)
    arrays = fit((X, Y), sample_weight=WEIGHTS, shuffle=shuffle, validation_split=0.2)
    assert_equal(weighted, arrays)
    assert not np.array_equal(weighted.flat.values, fit((X, Y), shuffle=shuffle).flat.values)


def test_validation_on_a_data_set() -> None:
    trainer = tg.Trainer(make_network(), tg.Adam(0.01))
    history = trainer.fit(X, Y, epochs=2, validation_data=Held(weighted=True), seed=0)
    other = tg.Trainer(make_network(), tg.Adam(0.01))
    expected = other.fit(X, Y, epochs=2, validation_data=(X, Y, WEIGHTS), seed=0)
    np.testing.assert_array_equal(history.validation_loss, expected.validation_loss)
    assert trainer.evaluate(Held(weighted=True)) == other.evaluate(X, Y, WEIGHTS)


def test_rows_are_asked_in_ascending_order_and_once_an_epoch() -> None:
    data = Held()
    fit(data, scaled=False, epochs=1, evaluate_every=2, validation_data=(X[:5], Y[:5]))
    first, *parts = data.asked
    assert first.tolist() == [0]  # To see what comes.
    assert len(parts) > 3
    assert all((np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(ROWS))
    assert data.threads == {"MainThread", "typegrad-prefetch"}


def test_blocks_are_read_together() -> None:
    data = InBlocks()
    fit(data, scaled=False, epochs=1, shuffle="blocks", validation_data=(X[:5], Y[:5]))
    starts = np.cumsum((0, *InBlocks.block_lengths))
    rows = np.concatenate(data.asked[1:])
    blocks = np.searchsorted(starts, rows, side="right") - 1
    # The rows of two blocks come before those of the other two, up to the part they share.
    sizes = np.array(InBlocks.block_lengths)
    early = set(blocks[:992].tolist())  # 20,000 bytes, in whole steps.
    assert len(early) == 2
    complete = int(sizes[list(early)].sum()) // 992 * 992
    assert set(blocks[:complete].tolist()) == early
    fit(InBlocks(), shuffle="blocks", validation_split=0.3)


def raised(data: Any, error: type[Exception], **options: Any) -> str:
    with pytest.raises(error) as caught:
        fit(data, **options)
    assert not any(thread.name == "typegrad-prefetch" for thread in threading.enumerate())
    return "\n".join(traceback.format_exception_only(caught.value))


ANSWERS: dict[str, tuple[Callable[[Array, Array], Any], type[Exception], str]] = {
    "list": (
        lambda x, y: [x, y],
        tg.DataError,
        "returned a list; expected a tuple (x, y) or (x, y, sample_weight)",
    ),
    "array": (
        lambda x, y: x,
        tg.DataError,
        "returned a ndarray; expected a tuple (x, y) or (x, y, sample_weight)",
    ),
    "four": (lambda x, y: (x, y, y, y), tg.DataError, "returned a tuple of 4; expected a tuple"),
    "rows of x": (lambda x, y: (x[1:], y), tg.ShapeError, "returned x of shape (#-1, 3); expected"),
    "rows of y": (
        lambda x, y: (x, y[:-1]),
        tg.ShapeError,
        "returned y of shape (#-1, 1); expected",
    ),
    "number": (lambda x, y: (x, 3.0), tg.ShapeError, "returned y of shape (); expected"),
    "text": (
        lambda x, y: (x.astype(str), y),
        tg.DTypeError,
        ": x has dtype <U32; expected real numbers, and for text a TableEncoder",
    ),
    "some weights": (
        lambda x, y: (x, y, y[:, 0] * 0 + 1),
        tg.DataError,
        "returned some, but there were no weights before",
    ),
    "columns": (
        lambda x, y: (np.hstack([x, x]), y),
        tg.ShapeError,
        "returned x with rows of shape (6,); those before had (3,)",
    ),
    "columns of y": (
        lambda x, y: (x, np.hstack([y, y])),
        tg.ShapeError,
        "returned y with rows of shape (2,); those before had (1,)",
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("scaled", [True, False])
def test_bad_answers(answer: str, scaled: bool) -> None:
    """Found by the first look at all rows if there is one, else by the thread that reads."""
    change, error, message = ANSWERS[answer]
    text = raised(Changed(change, from_row=ROWS - 1), error, scaled=scaled, shuffle=False)
    rows = ROWS if scaled else ROWS - 992 * 3  # Parts of 20,000 bytes, in whole steps.
    rows_asked = f"{rows} rows from {ROWS - rows} to {ROWS - 1}"
    assert f"data set: take() of {rows_asked}" in text
    assert message.replace("#-1", str(rows - 1)) in text


def test_bad_first_answers() -> None:
    assert "data set: take() of row 0 returned a list" in raised(
        Changed(lambda x, y: [x, y]), tg.DataError
    )
    assert "take() of row 0 returned x of shape (2, 3); expected 1 row" in raised(
        Changed(lambda x, y: (np.vstack([x, x]), y)), tg.ShapeError
    )


def test_weights_that_end() -> None:
    class Ending(Held):
        def take(self, indices: IntArray) -> Any:
            taken = super().take(indices)
            return taken if len(indices) == 1 else (*taken[:2], None)

    text = raised(Ending(weighted=True), tg.DataError)
    assert "take() of 3000 rows from 0 to 2999 returned none, but there were weights" in text


def test_negative_weights() -> None:
    class Negative(Held):
        def take(self, indices: IntArray) -> DatasetRows:
            return X[indices], Y[indices], -WEIGHTS[indices]

    assert "take() of row 0: data: sample_weight[0] is -0.5" in raised(Negative(), tg.DataError)


@pytest.mark.parametrize("scaled", [True, False])
def test_nan_is_named_with_its_row(scaled: bool) -> None:
    def spoil(x: Array, y: Array) -> tuple[Array, Array]:
        changed = x.copy()
        changed[-1, 1] = np.nan
        return changed, y

    text = raised(
        Changed(spoil, from_row=ROWS - 1), tg.DataError, scaled=scaled, shuffle=not scaled
    )
    assert f"x has nan at row {ROWS - 1}, column 1; drop or fill such rows first" in text
    text = raised((X, Y), tg.DataError, validation_data=Changed(spoil, from_row=ROWS - 1))
    assert f"validation x has nan at row {ROWS - 1}, column 1" in text


def test_errors_of_the_data_set_come_through() -> None:
    def fail(x: Array, y: Array) -> None:
        raise ConnectionError("server gone")

    text = raised(Changed(fail, from_row=ROWS - 1), ConnectionError, scaled=False, shuffle=False)
    assert text.splitlines()[0] == "ConnectionError: server gone"
    assert "data set: take() of 24 rows from 2976 to 2999 raised this" in text


def test_weights_stay_those_after_the_last_step_when_reading_fails() -> None:
    def fail(x: Array, y: Array) -> None:
        raise OSError("disk gone")

    network = make_network(scaled=False)
    trainer = tg.Trainer(network, tg.SGD(0.01))
    with pytest.raises(OSError, match="disk gone"):
        trainer.fit(Changed(fail, 2500), epochs=1, batch_size=1250, shuffle=False, seed=0)
    other = make_network(scaled=False)
    tg.Trainer(other, tg.SGD(0.01)).fit(
        X[:2500], Y[:2500], epochs=1, batch_size=1250, shuffle=False, seed=0
    )
    assert_equal(network, other)


def test_blocks_that_are_not_all_rows() -> None:
    class Wrong(InBlocks):
        block_lengths = (500, 1000, 800, 600)

    class Apart(InBlocks):
        blocks_together = 0

    text = "data set has 3000 rows, but blocks of {} rows, {} of them together; expected as many"
    assert text.format(2900, 2) in raised(Wrong(), tg.DataError)
    assert text.format(3000, 0) in raised(Apart(), tg.DataError)


def test_empty() -> None:
    assert "data set has no rows; nothing can be learnt from it" in raised(
        Held(rows=0), tg.DataError
    )
    text = raised((X, Y), tg.DataError, validation_data=Held(rows=0))
    assert "validation data set has no rows" in text


def test_arguments_that_do_not_go_together() -> None:
    trainer = tg.Trainer(make_network(), tg.SGD(0.01))
    text = (
        "x is a data set, whose take(indices) brings targets and weights; "
        "give neither y nor sample_weight"
    )
    extras: list[dict[str, Any]] = [{"y": Y}, {"sample_weight": WEIGHTS}]
    for extra in extras:
        with pytest.raises(TypeError) as caught:
            trainer.fit(Held(), **extra, epochs=1)
        assert str(caught.value) == text
        with pytest.raises(TypeError) as caught:
            trainer.evaluate(Held(), **extra)
        assert str(caught.value) == text
    missing = (
        "y is missing; only a data set, with __len__ and take(indices), brings its own targets"
    )
    for x in (X, pd.DataFrame(X), X.tolist()):
        with pytest.raises(TypeError) as caught:
            trainer.fit(x, epochs=1)
        assert str(caught.value) == missing
        with pytest.raises(TypeError) as caught:
            trainer.evaluate(x)
        assert str(caught.value) == missing


def test_ctrl_c_while_rows_are_waited_for() -> None:
    """The first ends training once the reading returns; the process ends, and so the thread."""
    program = """
import os, signal, threading, time
import numpy as np
import typegrad as tg

signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow:
    def __len__(self):
        return 100

    def take(self, indices):
        if len(indices) > 1:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(1.0)
        return np.ones((len(indices), 2)), np.ones((len(indices), 1))

network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0)
history = tg.Trainer(network, tg.SGD(0.1)).fit(Slow(), epochs=1000000)
print(history.stop_reason, len(history), threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["interrupted", "0", "1"]


def test_a_second_ctrl_c_ends_a_reading_that_hangs() -> None:
    program = """
import os, signal, threading, time
import numpy as np
import typegrad as tg

signal.signal(signal.SIGINT, signal.default_int_handler)

class Hanging:
    def __len__(self):
        return 100

    def take(self, indices):
        if len(indices) > 1:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
            time.sleep(1000.0)
        return np.ones((len(indices), 2)), np.ones((len(indices), 1))

network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0)
try:
    tg.Trainer(network, tg.SGD(0.1)).fit(Hanging(), epochs=1)
except KeyboardInterrupt:
    print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ended"]

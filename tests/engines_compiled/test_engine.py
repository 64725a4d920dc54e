"""The compiled engine in the cases that are not plain training."""

from __future__ import annotations

import logging
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import (
    CompiledEngine,
    EagerEngine,
    Engine,
    StepSettings,
    TrainingData,
    selection,
)
from typegrad.engines.compiled import llvm, network_code
from typegrad.engines.compiled.library import library_for
from typegrad.errors import DataError, MissingExtraError, NumericalError
from typegrad.operations.observing import observe_operations
from typegrad.types import Array, Vector

from ..engines_planned.training import network_of, random_data, train


def small_network() -> tg.NeuralNetwork:
    return network_of(tg.Dense(4, 6, "tanh"), tg.Dense(6, 1))


def compiled(network: tg.NeuralNetwork | None = None, **options: Any) -> CompiledEngine:
    settings = StepSettings(**options)
    return CompiledEngine(network or small_network(), tg.SGD(), settings)


def test_making_native_code_takes_few_rows_of_the_data() -> None:
    data = random_data(1_000_000)
    engine = compiled()
    tracemalloc.start()
    try:
        engine.run_epoch(data, np.arange(64), 32, np.full(2, 0.05))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.25 * data.inputs.nbytes


class StopAtOnce(tg.Callback):
    """Ends a training after its first epoch."""

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        event.trainer.stop("seen enough")


class TestTrainer:
    """Through `Trainer`."""

    def fit(self, **options: Any) -> tg.History:
        trainer = tg.Trainer(small_network(), tg.SGD(0.1), **options)
        data = random_data()
        return trainer.fit(data.inputs, data.targets, epochs=2, seed=0)

    @pytest.fixture
    def _long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let any training be a long one."""
        monkeypatch.setattr(selection, "LONG_TRAINING", 0)

    @pytest.mark.usefixtures("_long")
    @pytest.mark.parametrize(
        ("name", "note"),
        [
            ("auto", "engine: compiled, the training is long enough"),
            ("compiled", "engine: compiled, as asked for"),
        ],
    )
    def test_notes(self, name: Any, note: str, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "typegrad"):
            history = self.fit(engine=name, threads=2)
        assert note in history.notes
        assert note in caplog.messages

    @pytest.mark.usefixtures("_long")
    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("typegrad.engines.selection.find_spec", lambda name: None)
        assert self.fit().notes == [
            "engine: planned; native code would be faster, but needs pip install 'typegrad[fast]'"
        ]

    @pytest.mark.parametrize(("epochs", "name"), [(260, "planned"), (261, "compiled")])
    def test_auto_goes_by_the_length_of_the_training(
        self, epochs: int, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """24 rows, 37 parameters and a step of 10^6 in each epoch."""
        monkeypatch.setattr(selection, "LONG_TRAINING", 261 * (3 * 24 * 37 + 10**6))
        trainer = tg.Trainer(small_network(), tg.SGD(0.0), callbacks=[StopAtOnce()])
        data = random_data()
        history = trainer.fit(data.inputs, data.targets, epochs=epochs, seed=0)
        assert history.notes[0].startswith(f"engine: {name}")

    @pytest.mark.usefixtures("_long")
    def test_a_broken_installation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise MissingExtraError("The compiled engine needs llvmlite")

        monkeypatch.setattr("typegrad.engines.compiled.engine.library_for", fail)
        assert self.fit().notes == [
            "engine: planned; the compiled one cannot start: The compiled engine needs llvmlite"
        ]
        with pytest.raises(MissingExtraError, match="The compiled engine needs llvmlite"):
            self.fit(engine="compiled")

    def test_number_of_threads(self) -> None:
        with pytest.raises(ValueError, match="threads is 0; expected"):
            tg.Trainer(small_network(), tg.SGD(), threads=0)

    def test_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "llvmlite.ir", None)
        monkeypatch.delitem(vars(llvm), "ir", raising=False)
        with pytest.raises(MissingExtraError, match=r"pip install .*'typegrad\[fast\]'"):
            _ = llvm.ir

    def test_only_known_names_of_llvm(self) -> None:
        with pytest.raises(AttributeError, match="has no attribute 'I65'"):
            _ = llvm.I65


def test_no_rows() -> None:
    data = TrainingData(np.zeros((0, 4), np.float32), np.zeros((0, 1), np.float32))
    losses = compiled().run_epoch(data, np.zeros(0, np.int64), 8, np.zeros(0))
    assert losses.shape == (0,)


def test_numbers_of_rows_in_another_byte_order() -> None:
    engines = compiled(), compiled()
    orders = np.arange(24), np.arange(24).astype(np.dtype(np.int64).newbyteorder("S"))
    found = [
        engine.run_epoch(random_data(), order, 8, np.full(3, 0.1))
        for engine, order in zip(engines, orders, strict=True)
    ]
    assert found[0].tolist() == found[1].tolist()


def test_rows_outside_the_data() -> None:
    with pytest.raises(IndexError, match="outside 0 to 23"):
        compiled().run_epoch(random_data(), np.array([24]), 1, np.full(1, 0.1))


def test_data_that_takes_another_branch() -> None:
    """Class numbers that are none are refused by the engine that meets them."""
    network = tg.NeuralNetwork(tg.Dense(4, 2), loss=tg.CrossEntropyLoss(), seed=0)
    notes: list[str] = []
    engine = CompiledEngine(network, tg.SGD(), StepSettings(), notes.append)
    inputs = random_data().inputs
    good, bad = (TrainingData(inputs, np.full(24, n, np.float32)) for n in (1, 2))
    train(engine, good)
    assert notes == []
    with pytest.raises(DataError, match="CrossEntropyLoss"):
        train(engine, bad)
    assert notes == ["the planned engine runs this data: it takes another branch"]
    train(engine, good)


def test_branches_that_batches_may_take_differently() -> None:
    class Signed(tg.ElementwiseOperation):
        def output(self, x: Array) -> Array:
            return x if x.mean() > 0 else -x

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad

    notes: list[str] = []
    network = network_of(tg.Dense(4, 2), tg.Activation(Signed()), tg.Dense(2, 1))
    train(CompiledEngine(network, tg.SGD(), StepSettings(), notes.append), random_data())
    assert notes[0] == (
        "Signed() runs as it is written, between native steps: there is no native code for "
        "a branch on values in Signed()"
    )


def test_an_epoch_in_pieces_is_the_epoch() -> None:
    whole, pieces = compiled(), compiled()
    data, order, rates = random_data(), np.arange(24), np.full(6, 0.05)
    losses = whole.run_epoch(data, order, 4, rates)
    parts = [pieces.run_epoch(data, order[i : i + 8], 4, rates[:2]) for i in (0, 8, 16)]
    assert losses.tobytes() == np.concatenate(parts).tobytes()
    assert whole.network.flat.values.tobytes() == pieces.network.flat.values.tobytes()


def test_short_turns_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = train(compiled(), random_data())
    monkeypatch.setattr(network_code, "WORK_PER_CALL", 1)
    assert train(compiled(), random_data()).tobytes() == expected.tobytes()


def test_a_stop_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_code, "WORK_PER_CALL", 1)
    answers = iter([False, False, True])
    engine = compiled(should_stop=lambda: next(answers))
    losses = engine.run_epoch(random_data(), np.arange(24), 4, np.full(6, 0.05))
    expected = compiled().run_epoch(random_data(), np.arange(8), 4, np.full(2, 0.05))
    assert losses.tobytes() == expected.tobytes()
    assert isinstance(engine.optimizer, tg.SGD)
    assert engine.optimizer.steps == 2


def test_options_changed_between_epochs() -> None:
    def run(kind: Callable[..., Engine]) -> Vector:
        dropout = tg.Dropout(0.5)
        network = network_of(tg.Dense(4, 6, "tanh"), dropout, tg.Dense(6, 1))
        engine = kind(network, tg.SGD(), StepSettings())
        before = train(engine, random_data())
        dropout.rate = 0.1
        return np.concatenate([before, train(engine, random_data())])

    np.testing.assert_allclose(run(CompiledEngine), run(EagerEngine), rtol=1e-5)


def test_data_of_other_shapes() -> None:
    network = network_of(tg.Flatten(), tg.Dense(4, 1))
    engines = [compiled(network), EagerEngine(network, tg.SGD(), StepSettings())]
    flat = random_data()
    square = TrainingData(flat.inputs.reshape(-1, 2, 2), flat.targets)
    start = network.flat.values.copy()
    found = []
    for engine in engines:
        network.flat.values[...] = start
        found.append(np.concatenate([train(engine, flat), train(engine, square)]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_data_that_is_not_contiguous() -> None:
    data = random_data()
    strided = TrainingData(np.asfortranarray(data.inputs), data.targets[::1])
    assert train(compiled(), data).tobytes() == train(compiled(), strided).tobytes()


class Foreign(tg.ElementwiseOperation):
    def output(self, x: Array) -> Array:
        doubled: Array = np.array([[2.0 * value for value in row] for row in x.tolist()], x.dtype)
        return doubled

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return 2.0 * output_grad


class Sorted(tg.ElementwiseOperation):
    """An operation that chains lack."""

    def output(self, x: Array) -> Array:
        return np.sort(x, axis=1)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad

    def __repr__(self) -> str:
        return "Sorted()"


def test_what_is_not_traceable_is_named() -> None:
    notes: list[str] = []
    network = network_of(tg.Dense(4, 1, Foreign()))
    train(CompiledEngine(network, tg.SGD(), StepSettings(), notes.append), random_data())
    assert notes == [
        "Foreign() runs as it is written, between native steps: "
        "it turns an array's value into a Python number",
    ]


def test_what_has_no_kernel_is_named() -> None:
    notes: list[str] = []
    network = network_of(tg.Dense(4, 3, Sorted()), tg.Dense(3, 1))
    train(CompiledEngine(network, tg.SGD(), StepSettings(), notes.append), random_data())
    assert notes == [
        "Sorted() runs as it is written, between native steps: there is no native code for "
        "sort of shape (n, 3) in Sorted()"
    ]


def batch_norm_engine(clip_norm: float | None) -> CompiledEngine:
    network = network_of(tg.Dense(4, 3), tg.BatchNorm(3), tg.Dense(3, 1))
    return CompiledEngine(network, tg.SGD(), StepSettings(clip_norm=clip_norm))


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_step_that_fails_leaves_layers_as_they_were(clip_norm: float | None) -> None:
    """Running statistics are those before the step, as parameters are."""
    data = random_data()
    data.inputs[13, 2] = np.inf
    engine, expected = batch_norm_engine(clip_norm), batch_norm_engine(clip_norm)
    with pytest.raises(NumericalError, match="step 2: the output of Linear"):
        engine.run_epoch(data, np.arange(24), 8, np.full(3, 0.1))
    expected.run_epoch(data, np.arange(8), 8, np.full(1, 0.1))
    assert engine.notes == []
    assert engine.network.flat.values.tobytes() == expected.network.flat.values.tobytes()
    buffers = zip(engine.network.buffers.values(), expected.network.buffers.values(), strict=True)
    assert all(found.value.tobytes() == other.value.tobytes() for found, other in buffers)


def test_a_stop_before_a_last_row() -> None:
    calls: list[int] = []

    def should_stop() -> bool:
        calls.append(0)
        return len(calls) > 1

    network = network_of(tg.Dense(4, 3), tg.BatchNorm(3), tg.Dense(3, 1))
    engine = CompiledEngine(network, tg.SGD(), StepSettings(should_stop=should_stop))
    # The first look is before the four steps in native code, the second before the last row.
    losses = engine.run_epoch(random_data(29), np.arange(29), 7, np.full(5, 0.1))
    assert len(losses) == 4


def test_a_negative_learning_rate_is_refused_as_ever() -> None:
    with pytest.raises(ValueError, match="learning_rate"):
        compiled().run_epoch(random_data(), np.arange(24), 24, np.full(1, -0.1))


def test_observers_see_operations() -> None:
    seen: list[str] = []
    with observe_operations(lambda operation, *_: seen.append(str(operation))):
        compiled(synchronize=lambda gradient: None).run_epoch(
            random_data(), np.arange(24), 24, np.full(1, 0.1)
        )
    assert "Tanh()" in seen


class TestNotFinite:
    """Losses, gradients and parameters that are not finite."""

    def start(self, data: TrainingData, rate: float, steps: int = 4) -> tuple[str, CompiledEngine]:
        engine = compiled()
        with pytest.raises(NumericalError) as caught:
            engine.run_epoch(data, np.arange(24), 6, np.full(steps, rate))
        return str(caught.value), engine

    def test_the_culprit_is_named(self) -> None:
        data = random_data()
        data.inputs[13, 2] = np.inf
        text, engine = self.start(data, 0.01)
        assert text.startswith(
            "step 3: the output of Linear() in layer 0, Dense(4, 6) has infinity"
        )
        # The weights are those before that step.
        expected = compiled()
        expected.run_epoch(data, np.arange(12), 6, np.full(2, 0.01))
        assert engine.network.flat.values.tobytes() == expected.network.flat.values.tobytes()

    def test_an_update_that_overflows(self) -> None:
        text, engine = self.start(random_data(), 3e38)
        assert text.startswith("step 1: the update of SGD with learning rate 3e+38 makes weights")
        assert np.array_equal(engine.network.flat.values, small_network().flat.values)

    def test_an_update_that_overflows_later(self) -> None:
        data = random_data()
        engine = compiled()
        rates = np.array([0.01, 0.01, 3e38, 0.01])
        with pytest.raises(NumericalError, match="step 3: the update of SGD"):
            engine.run_epoch(data, np.arange(24), 6, rates)
        expected = compiled()
        expected.run_epoch(data, np.arange(12), 6, rates[:2])
        assert engine.network.flat.values.tobytes() == expected.network.flat.values.tobytes()

    def test_native_code_goes_on_after_a_rate_that_is_infinite(self) -> None:
        """Infinity times the zeros between the ends of rows is not finite either."""
        data, rows = random_data(), np.arange(24)
        engine, expected = compiled(), compiled()
        with pytest.raises(NumericalError, match="step 3: "):
            engine.run_epoch(data, rows, 6, np.array([0.01, 0.01, 1e39, 0.01]))
        expected.run_epoch(data, rows[:12], 6, np.full(2, 0.01))
        for each in (engine, expected):
            each.optimizer.reset()
            for _ in range(4):
                each.run_epoch(data, rows, 6, np.full(4, 0.01))
            assert each.notes == []
        assert engine.network.flat.values.tobytes() == expected.network.flat.values.tobytes()

    def test_the_last_update_of_an_epoch(self) -> None:
        engine = compiled()
        rates = np.array([0.01, 0.01, 0.01, 3e38])
        with pytest.raises(NumericalError, match="step 4: the update of SGD"):
            engine.run_epoch(random_data(), np.arange(24), 6, rates)

    def test_gradients_whose_squares_overflow(self) -> None:
        """The native norm is infinite, but all is finite for the other engines."""
        network = network_of(tg.Dense(4, 1))
        data = random_data(scale=1e12)
        settings = StepSettings(clip_norm=1.0)
        engine = CompiledEngine(network, tg.SGD(), settings)
        eager = EagerEngine(network_of(tg.Dense(4, 1)), tg.SGD(), settings)
        losses = [
            each.run_epoch(data, np.arange(24), 6, np.full(4, 0.1)) for each in (engine, eager)
        ]
        assert np.isfinite(losses[0]).all()
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)

    def test_a_gradient_alone(self) -> None:
        data = random_data()
        data.inputs[13, 2] = np.nan
        engine = compiled(synchronize=lambda gradient: None)
        with pytest.raises(NumericalError, match=r"step 3: the output of Linear\(\) in layer 0"):
            engine.run_epoch(data, np.arange(24), 6, np.full(4, 0.01))


def test_the_gradient_is_synchronised_before_it_is_clipped() -> None:
    def run(kind: Callable[..., Engine]) -> tuple[Vector, Vector]:
        def scale(gradient: Vector) -> None:
            gradient *= 3.0

        settings = StepSettings(synchronize=scale, clip_norm=0.2)
        network = small_network()
        losses = train(kind(network, tg.Adam(), settings), random_data())
        return losses, network.flat.values

    for expected, found in zip(run(EagerEngine), run(CompiledEngine), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_masks_are_the_eager_engines() -> None:
    network = network_of(tg.Dropout(0.5), tg.Dense(4, 1, bias=False))
    data = TrainingData(np.ones((40, 4), np.float32), np.zeros((40, 1), np.float32))
    settings = StepSettings(mask_seed=11)
    gradients = []
    for kind in (EagerEngine, CompiledEngine):
        engine = kind(network, tg.SGD(), settings)
        engine.run_epoch(data, np.arange(40), 40, np.zeros(1))
        gradients.append(network.flat.grads.copy())
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-6)


def test_trainings_at_once() -> None:
    """Four threads, each with an engine of two threads, one network each."""

    def run(results: dict[int, bytes], number: int) -> None:
        generator = np.random.default_rng(number)
        network = tg.NeuralNetwork(
            tg.Dense(8, 64, "tanh"), tg.Dense(64, 1), loss=tg.MSELoss(), seed=number
        )
        inputs = generator.standard_normal((4096, 8)).astype(np.float32)
        engine = CompiledEngine(network, tg.Adam(), StepSettings(), threads=2)
        data = TrainingData(inputs, inputs[:, :1].copy())
        for _ in range(3):
            engine.run_epoch(data, np.arange(4096), 1024, np.full(4, 0.01))
        results[number] = network.flat.values.tobytes()

    alone: dict[int, bytes] = {}
    together: dict[int, bytes] = {}
    for number in range(4):
        run(alone, number)
    threads = [threading.Thread(target=run, args=(together, number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_threads_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has started must not wait for ever."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)
    engine = CompiledEngine(small_network(), tg.SGD(), StepSettings(), threads=3)
    train(engine, random_data())
    pool = vars(vars(engine)["_code"])["_runner"]._pool
    submit = pool.submit
    started: list[Any] = []

    def submit_once(*arguments: Any) -> Any:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(submit(*arguments))
        return started[0]

    monkeypatch.setattr(pool, "submit", submit_once)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        train(engine, random_data())
    assert started[0].result(timeout=10) == 0


def test_one_library_for_all_engines() -> None:
    assert library_for(32) is library_for(32)
    assert library_for(64) is not library_for(32)

"""How a step ends: the update after all sums, block by block, or in the tile's programs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, Engine, StepSettings, TrainingData
from typegrad.engines.compiled import job, native, network_code
from typegrad.errors import NumericalError
from typegrad.types import Array, Vector

pytestmark = pytest.mark.usefixtures("every_target")

WIDTHS = (5, 128, 64, 67, 1)
"""Two matrices of more than a block; rows that need padding, and rows that do not."""

OPTIMIZERS: list[Callable[[], Any]] = [
    tg.SGD,
    lambda: tg.SGD(momentum=0.9, nesterov=True),
    tg.AdamW,
    tg.Lion,
]


def network_for(dtype: str) -> tg.NeuralNetwork:
    *hidden, last = pairwise(WIDTHS)
    layers = [tg.Dense(*widths, tg.Tanh()) for widths in hidden]
    return tg.NeuralNetwork(*layers, tg.Dense(*last), loss=tg.MSELoss(), seed=4, dtype=dtype)


def data_for(rows: int, dtype: str) -> TrainingData:
    inputs = np.random.default_rng(3).standard_normal((rows, 5)).astype(dtype)
    return TrainingData(inputs, inputs[:, :1].copy())


def endings_used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the ending of each call."""
    used: list[int] = []
    choose = network_code.NetworkCode._ending

    def note(*arguments: Any) -> int:
        used.append(choose(*arguments))
        return used[-1]

    monkeypatch.setattr(network_code.NetworkCode, "_ending", note)
    return used


def numbers_after(engine: Engine, optimizer: tg.Optimizer, rows: int, batch_size: int) -> Vector:
    """Train for an epoch; return losses, gradient, parameters and state."""
    steps = -(-rows // batch_size)
    order = np.random.default_rng(5).permutation(rows)
    data = data_for(rows, engine.network.dtype.name)
    losses = engine.run_epoch(data, order, batch_size, np.linspace(0.001, 0.002, steps))
    flat = engine.network.flat
    joined: Vector = np.concatenate(
        [losses, flat.grads, flat.values, *optimizer.state_arrays.values()]
    )
    return joined


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make_optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 3, 31])
@pytest.mark.parametrize("clip_value", [None, 0.001])
def test_all_endings_give_the_same_bits(
    make_optimizer: Callable[[], Any],
    batch_size: int,
    clip_value: float | None,
    dtype: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def train(ending: int | None) -> Vector:
        if ending is not None:
            monkeypatch.setattr(network_code.NetworkCode, "_ending", lambda *_: ending)
        optimizer = make_optimizer()
        settings = StepSettings(clip_value=clip_value)
        engine = CompiledEngine(network_for(dtype), optimizer, settings, threads=1)
        return numbers_after(engine, optimizer, 100, batch_size)

    used = endings_used(monkeypatch)
    chosen = train(None)
    assert used == [job.UPDATE_IN_TILE]
    for ending in (job.UPDATE_BY_BLOCKS, job.UPDATE_AFTER_CHECK):
        assert train(ending).tobytes() == chosen.tobytes()


LINEAR: dict[str, tuple[StepSettings, bool]] = {
    "": (StepSettings(), False),
    "clipped": (StepSettings(clip_value=0.001), False),
    "weighted": (StepSettings(), True),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("make_optimizer", OPTIMIZERS)
@pytest.mark.parametrize("features", [1, 2, 13, 16, 17, 100])
def test_linear_regression_a_row_at_a_time(
    features: int,
    make_optimizer: Callable[[], Any],
    name: str,
    dtype: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All endings give the same bits, whatever the calls, and what the eager engine gives."""
    settings, has_weights = LINEAR[name]
    random = np.random.default_rng(7)
    inputs = random.standard_normal((41, features)).astype(dtype)
    weights = random.uniform(0.5, 1.5, 41).astype(dtype) if has_weights else None
    data = TrainingData(inputs, random.standard_normal((41, 1)).astype(dtype), weights)

    def train(kind: type[EagerEngine], steps_per_call: int) -> Vector:
        layer = tg.Dense(features, 1)
        network = tg.NeuralNetwork(layer, loss=tg.MSELoss(), seed=4, dtype=dtype)
        optimizer = make_optimizer()
        engine = kind(network, optimizer, settings)
        losses = [
            engine.run_epoch(data, order, 1, np.full(len(order), 0.002))
            for order in np.split(np.arange(41), range(steps_per_call, 41, steps_per_call))
        ]
        flat, state = network.flat, optimizer.state_arrays.values()
        joined: Vector = np.concatenate([*losses, flat.grads, flat.values, *state])
        return joined

    used = endings_used(monkeypatch)
    found = train(CompiledEngine, 41)
    assert used == [job.UPDATE_IN_TILE]
    assert train(CompiledEngine, 7).tobytes() == found.tobytes()
    expected = train(EagerEngine, 41)
    error = 200 * float(np.finfo(dtype).eps)
    largest = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=error, atol=error * largest)
    for ending in (job.UPDATE_BY_BLOCKS, job.UPDATE_AFTER_CHECK):
        monkeypatch.setattr(network_code.NetworkCode, "_ending", lambda *_, ending=ending: ending)
        assert train(CompiledEngine, 41).tobytes() == found.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 17, 33, 64, 300])
def test_threads_share_steps_of_all_sizes(
    batch_size: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With masks, weights, and a last batch that leaves some threads without rows."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)
    used = endings_used(monkeypatch)
    data = data_for(905, dtype)
    weights = np.random.default_rng(6).uniform(0.5, 1.5, 905).astype(dtype)
    results = []
    for threads in (1, 2, 3):
        layers = (tg.Dense(5, 130, "gelu"), tg.Dropout(0.3), tg.Dense(130, 67, "relu"))
        network = tg.NeuralNetwork(*layers, tg.Dense(67, 1), loss=tg.MSELoss(), seed=4, dtype=dtype)
        optimizer = tg.Adam()
        engine = CompiledEngine(network, optimizer, StepSettings(), threads=threads)
        weighted = TrainingData(data.inputs, data.targets, weights)
        steps = -(-905 // batch_size)
        losses = engine.run_epoch(weighted, np.arange(905), batch_size, np.full(steps, 0.001))
        numbers = [losses, network.flat.values, *optimizer.state_arrays.values()]
        results.append([each.tobytes() for each in numbers])
    assert results[0] == results[1] == results[2]
    is_one_tile = batch_size <= native.NARROW_TILE_ROWS
    assert used == [job.UPDATE_IN_TILE if is_one_tile else job.UPDATE_BY_BLOCKS] * 3


class Unused(tg.Layer):
    """Has a matrix that the loss does not depend on."""

    def __init__(self) -> None:
        self.weight = tg.Parameter((80, 70), tg.initializers.Constant(0.1))

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return x

    def backward(self, output_grad: Array) -> Array:
        return output_grad


def test_a_large_matrix_without_a_gradient() -> None:
    results = []
    for kind in (EagerEngine, CompiledEngine):
        network = tg.NeuralNetwork(Unused(), tg.Dense(5, 1), loss=tg.MSELoss(), seed=4)
        engine = kind(network, tg.AdamW(weight_decay=0.1), StepSettings())
        engine.run_epoch(data_for(30, "float32"), np.arange(30), 8, np.full(4, 0.01))
        results.append(network.flat.values)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    assert results[0][0] < 0.1


def test_a_norm_is_known_before_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    used = endings_used(monkeypatch)
    settings = StepSettings(clip_norm=0.01)
    numbers_after(CompiledEngine(network_for("float32"), tg.SGD(), settings), tg.SGD(), 10, 2)
    assert used == [job.UPDATE_AFTER_CHECK]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 10])
@pytest.mark.parametrize("make_optimizer", OPTIMIZERS)
def test_a_gradient_that_is_not_finite(
    make_optimizer: Callable[[], Any],
    batch_size: int,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found when parameters have changed: what comes back is from before the step."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)
    data = data_for(40, "float32")
    # The loss is finite, and so is all that is computed before the first layer's gradient.
    data.inputs[...] = 0.0
    data.inputs[23], data.targets[23] = 1e30, 1e12

    def start(kind: Callable[..., Engine], steps: int, **options: Any) -> tuple[str, Vector]:
        network, optimizer = network_for("float32"), make_optimizer()
        network.parameters["0.weight"].value[...] *= 1e-30
        engine = kind(network, optimizer, StepSettings(), **options)
        order, rates = np.arange(steps * batch_size), np.full(steps, 0.001)
        message = ""
        try:
            engine.run_epoch(data, order, batch_size, rates)
        except NumericalError as error:
            message = str(error)
        numbers = [network.flat.values, *optimizer.state_arrays.values()]
        return message, np.concatenate(numbers)

    message, numbers = start(CompiledEngine, 40 // batch_size, threads=threads)
    assert "gradient" in message
    assert message == start(EagerEngine, 40 // batch_size)[0]
    untroubled = start(CompiledEngine, 23 // batch_size, threads=threads)
    assert untroubled[0] == ""
    assert numbers.tobytes() == untroubled[1].tobytes()


def test_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for all others, so all must have started."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)
    results = []
    for threads in (1, 41):
        optimizer = tg.SGD()
        engine = CompiledEngine(network_for("float32"), optimizer, StepSettings(), threads=threads)
        results.append(numbers_after(engine, optimizer, 96, 48).tobytes())
    assert results[0] == results[1]


def test_an_update_that_makes_nan_of_zeros_is_not_native() -> None:
    """Between the rows' ends all is zero: Adam without epsilon divides zero by zero there."""
    optimizer = tg.Adam(epsilon=0.0)
    notes: list[str] = []
    engine = CompiledEngine(network_for("float32"), optimizer, StepSettings(), notes.append)
    expected = EagerEngine(network_for("float32"), tg.Adam(epsilon=0.0), StepSettings())
    losses = [
        each.run_epoch(data_for(40, "float32"), np.arange(40), 8, np.full(5, 0.001))
        for each in (engine, expected)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert any("Adam's update is not native" in note for note in notes)


def test_small_parameters_are_shared_among_threads() -> None:
    """Many matrices, none of them large, are not one thread's work."""
    layers = [tg.Dense(64, 64, "tanh") for _ in range(6)]
    network = tg.NeuralNetwork(tg.Dense(5, 64), *layers, tg.Dense(64, 1), loss=tg.MSELoss())
    engine = CompiledEngine(network, tg.SGD(), StepSettings(), threads=1)
    engine.run_epoch(data_for(32, "float32"), np.arange(32), 32, np.full(1, 0.01))
    assert engine._code is not None
    step = engine._code._step_for(32)
    programs = step.programs(data_for(32, "float32"))
    table = step.tile_programs(programs, 32, 3).table.reshape(3, 6)
    sizes = table[:, 3] - table[:, 2]
    assert sizes.min() > 0.5 * sizes.max()

"""Parts that run as they are written, between native steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, StepSettings, TrainingData
from typegrad.types import Array

from .foreign import Dense, Foreign, ForeignLayer, ForeignLoss, Gated, Noisy, foreign
from .formulas import Formula, case_of, ones
from .training import Case, assert_close, assert_same_bits, data_for, train

NOTE = "runs as it is written, between native steps: "


class Looked(tg.Layer):
    """An operation that branches on what one that cannot be traced has computed."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.operations = (Foreign(), Formula(_branch, ones))


def _branch(x: Array) -> Array:
    """Nothing is so large."""
    return x if np.max(x) > 2.0 else 2.0 * x


CASES = {
    "an activation": Case(lambda: [tg.Dense(4, 5, Foreign()), tg.Dense(5, 2)]),
    "of one column": Case(lambda: [tg.Dense(4, 1, Foreign()), tg.Dense(1, 2)]),
    "two": Case(lambda: [tg.Dense(4, 37, Foreign()), tg.Dense(37, 5, Foreign()), tg.Dense(5, 2)]),
    "of the inputs": Case(lambda: [tg.Activation(Foreign()), tg.Dense(4, 2)]),
    "of the outputs": Case(lambda: [tg.Dense(4, 2), tg.Activation(Foreign())]),
    "with parameters, before another": Case(
        lambda: [Dense(4, 3), tg.Activation(Foreign()), tg.Dense(3, 2)]
    ),
    "nothing else": Case(lambda: [Dense(4, 3), Dense(3, 2)], loss=ForeignLoss),
    "of two operands": Case(lambda: [tg.Dense(4, 10), Gated(5), tg.Dense(5, 2)]),
    "with parameters": Case(lambda: [tg.Dense(4, 5), Dense(5, 3), tg.Dense(3, 2)]),
    "with one column": Case(lambda: [tg.Dense(4, 5, "tanh"), Dense(5, 1), tg.Dense(1, 2)]),
    "a loss": Case(lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 2)], loss=ForeignLoss),
    "a loss with weights": Case(loss=ForeignLoss, weighted=True),
    "all": Case(
        lambda: [tg.Activation(Foreign()), Dense(4, 5), tg.Dense(5, 4), Gated(2)],
        loss=ForeignLoss,
    ),
    "a layer with parameters": Case(
        lambda: [tg.Dense(4, 5), ForeignLayer(5, 3), tg.Dense(3, 4), ForeignLayer(4, 2)],
        optimizer=tg.Adam,
    ),
    "a layer that draws": Case(lambda: [tg.Dense(4, 5), Noisy(), tg.Dense(5, 2)]),
    "beside a batch normalisation": Case(
        lambda: [tg.Dense(4, 5, Foreign()), tg.BatchNorm(5), tg.Dense(5, 2, Foreign())]
    ),
    "beside dropout and norms": Case(
        lambda: [
            tg.Dense(4, 5), tg.LayerNorm(5), tg.Dropout(0.3), tg.Activation(Foreign()),
            tg.Dense(5, 2),
        ],
        optimizer=tg.Adam,
    ),
    "beside a lookup": Case(
        lambda: [tg.ColumnEmbedding(4, {1: 3, 2: 4}, 2), tg.Dense(6, 2, Foreign())], codes=(1, 3)
    ),
    "with a branch on its results": Case(lambda: [Looked(), tg.Dense(4, 2)]),
    "with a native kernel missing": case_of(Formula(lambda x: np.sort(x, axis=1), ones)),
}  # fmt: skip


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("rows", [7, 64, 150])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_beside_native_steps(name: str, dtype: str, rows: int, clip_norm: float | None) -> None:
    """The largest batch has three tiles; the last step has one row."""
    case = replace(CASES[name], settings=StepSettings(clip_norm=clip_norm, mask_seed=3))
    data = data_for(case, 2 * rows + 1, dtype)
    eager = train(case, EagerEngine, data, rows)
    one, two = (train(case, CompiledEngine, data, rows, threads=n) for n in (1, 2))
    assert NOTE in one.notes[0]
    assert not any("runs this network" in note for note in one.notes)
    assert_close(one, eager)
    assert_same_bits(one, two)


@pytest.mark.parametrize("name", ["two", "with parameters", "a loss"])
def test_full_batch_optimizer(name: str) -> None:
    case = replace(CASES[name], optimizer=tg.LBFGS)
    data = data_for(case, 31, "float64")
    eager, compiled = (train(case, kind, data, 31) for kind in (EagerEngine, CompiledEngine))
    assert NOTE in compiled.notes[0]
    assert_close(compiled, eager)


@dataclass
class Plan:
    """Says when an operation raises an error: as often as told, once it has run so often."""

    error: BaseException
    remaining: int = 10_000
    times: int = 1


@dataclass(frozen=True)
class Failing(tg.ElementwiseOperation):
    """Raises an error as planned; the plan is no option of the operation, which it looks at."""

    plan: Plan

    def output(self, x: Array) -> Array:
        plan = self.plan
        plan.remaining -= 1
        if plan.remaining < 0 and plan.times > 0:
            plan.times -= 1
            raise plan.error
        return np.array(x.tolist(), x.dtype)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad


def ignore(note: str) -> None:
    """Take a note."""


def engine_with(
    operation: tg.ElementwiseOperation,
    settings: StepSettings,
    optimizer: Any,
    *,
    first: bool = False,
) -> CompiledEngine:
    layers = [tg.Dense(4, 4), tg.Activation(operation)]
    if first:
        layers.reverse()
    network = tg.NeuralNetwork(*layers, tg.Dense(4, 2), loss=tg.MSELoss(), seed=0)
    return CompiledEngine(network, optimizer, settings, ignore)


def numbers_of(engine: CompiledEngine) -> bytes:
    assert isinstance(engine.optimizer, tg.Optimizer)
    vectors = [engine.network.flat.values, *engine.optimizer.state_arrays.values()]
    return b"".join(vector.tobytes() for vector in vectors)


def prepared(plan: Plan) -> tuple[CompiledEngine, TrainingData]:
    """Return an engine whose native code has run a step, and data."""
    engine = engine_with(Failing(plan), StepSettings(), tg.Adam())
    data = data_for(Case(), 60, "float32")
    engine.run_epoch(data, np.arange(10), 10, np.full(1, 0.1))
    return engine, data


@pytest.mark.parametrize("error", [ValueError("no such thing"), KeyboardInterrupt()])
def test_an_error_is_raised_and_the_steps_before_it_are_kept(error: BaseException) -> None:
    """Though it may not come again: what a part did beside its formula would come twice."""
    plan = Plan(error)
    engine, data = prepared(plan)
    expected, _ = prepared(Plan(error))
    plan.remaining = 3
    with pytest.raises(type(error)) as raised:
        engine.run_epoch(data, np.arange(60), 10, np.full(6, 0.1))
    assert raised.value is error
    expected.run_epoch(data, np.arange(30), 10, np.full(3, 0.1))
    assert numbers_of(engine) == numbers_of(expected)
    assert isinstance(engine.optimizer, tg.Adam)
    assert engine.optimizer.steps == 4
    rest = (data, np.arange(30, 60), 10, np.full(3, 0.1))
    assert engine.run_epoch(*rest).tobytes() == expected.run_epoch(*rest).tobytes()


def test_an_interruption_of_a_gradient() -> None:
    plan = Plan(KeyboardInterrupt())
    engine = engine_with(Failing(plan), StepSettings(), tg.LBFGS())
    data = data_for(Case(), 60, "float32")
    engine.accumulate(data, np.arange(60), 60, 0)
    plan.remaining = 0
    with pytest.raises(KeyboardInterrupt):
        engine.accumulate(data, np.arange(60), 60, 1)


def test_statistics_of_the_steps_before_an_error_are_kept() -> None:
    def trained(plan: Plan, rows: int) -> dict[str, Array]:
        network = tg.NeuralNetwork(
            tg.Dense(4, 5, bias=False), tg.BatchNorm(5), tg.Activation(Failing(plan)),
            tg.Dense(5, 2), loss=tg.MSELoss(), seed=0,
        )  # fmt: skip
        engine = CompiledEngine(network, tg.Adam(), StepSettings(), ignore)
        data = data_for(Case(), 60, "float32")
        engine.run_epoch(data, np.arange(10), 10, np.full(1, 0.1))
        plan.remaining = 3
        with pytest.raises(ValueError, match="no such thing") if rows > 30 else nullcontext():
            engine.run_epoch(data, np.arange(rows), 10, np.full(rows // 10, 0.1))
        return network.state_dict()

    found, expected = (trained(Plan(ValueError("no such thing")), rows) for rows in (60, 30))
    for name, array in expected.items():
        assert found[name].tobytes() == array.tobytes(), name


def test_statistics_of_the_steps_before_numbers_that_are_not_finite_are_kept() -> None:
    def trained(rows: int) -> dict[str, Array]:
        network = tg.NeuralNetwork(
            tg.Dense(4, 5, Foreign()), tg.BatchNorm(5), tg.Dense(5, 2), loss=tg.MSELoss(), seed=0
        )
        engine = CompiledEngine(network, tg.SGD(), StepSettings(), ignore)
        data = data_for(Case(), 60, "float32")
        data.targets[35] = np.inf  # The step has got as far as the statistics by then.
        with pytest.raises(tg.NumericalError) if rows > 30 else nullcontext():
            engine.run_epoch(data, np.arange(rows), 10, np.full(rows // 10, 0.1))
        return network.state_dict()

    found, expected = trained(60), trained(30)
    for name, array in expected.items():
        assert found[name].tobytes() == array.tobytes(), name


def test_both_passes_run_even_if_nobody_needs_their_results() -> None:
    class Counted(Foreign):
        forward_passes = backward_passes = 0

        def output(self, x: Array) -> Array:
            Counted.forward_passes += 1
            return super().output(x)

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            Counted.backward_passes += 1
            return super().input_grad(output_grad, x, y)

    engine = engine_with(Counted(), StepSettings(), tg.SGD(), first=True)
    data = data_for(Case(), 60, "float32")
    engine.run_epoch(data, np.arange(10), 10, np.full(1, 0.1))
    Counted.forward_passes = Counted.backward_passes = 0
    engine.run_epoch(data, np.arange(60), 10, np.full(6, 0.1))
    assert (Counted.forward_passes, Counted.backward_passes) == (6, 6)


def test_full_batch_optimizers_want_the_whole_batch() -> None:
    case = replace(CASES["two"], optimizer=tg.LBFGS)
    data = data_for(case, 31, "float64")
    compiled = train(case, CompiledEngine, data, 10)
    assert "or of several batches, since examples of a batch may have" in compiled.notes[1]
    assert_same_bits(compiled, train(case, EagerEngine, data, 10))


def test_results_of_another_shape_fail() -> None:
    class Shrinking(tg.UnaryOperation):
        """Leaves out what it is told."""

        dropped = 0

        def output(self, x: Array) -> Array:
            return np.array(x.tolist(), x.dtype)[:, self.dropped :]

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad

    class Layer(tg.Layer):
        def __init__(self) -> None:
            self.in_features = self.out_features = 4
            self.operations = (Shrinking(),)

    network = tg.NeuralNetwork(Layer(), tg.Dense(4, 2), loss=tg.MSELoss())
    engine = CompiledEngine(network, tg.SGD(), StepSettings(), ignore)
    data = data_for(Case(), 20, "float32")
    epoch = (data, np.arange(20), 10, np.full(2, 0.1))
    engine.run_epoch(*epoch)
    Shrinking.dropped = 1
    with pytest.raises(tg.ShapeError, match=r"\(10, 3\)"):
        engine.run_epoch(*epoch)


def test_parts_that_look_at_parameters() -> None:
    """They find those of their step; so does who looks when the epoch is over."""

    def run(kind: Callable[..., Any]) -> tuple[list[float], Array]:
        seen: list[float] = []
        layer = tg.Dense(4, 5)

        def look(x: Array) -> Array:
            seen.append(float(layer.weight.value[1, 2]))
            return np.array(x.tolist(), x.dtype)

        network = tg.NeuralNetwork(
            layer, tg.Activation(Formula(look, ones)), tg.Dense(5, 2), loss=tg.MSELoss(), seed=0
        )
        data = data_for(Case(), 60, "float32")
        engine = kind(network, tg.SGD(), StepSettings(), *([ignore] * (kind is CompiledEngine)))
        engine.run_epoch(data, np.arange(10), 10, np.full(1, 0.1))
        seen.clear()
        engine.run_epoch(data, np.arange(60), 10, np.full(6, 0.1))
        return seen, network.flat.values

    (seen, values), (expected, others) = run(CompiledEngine), run(EagerEngine)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    assert len(set(seen)) == 6
    np.testing.assert_allclose(values, others, rtol=1e-4)


class Counting(tg.Layer):
    """A layer with a state that cannot be traced."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.seen = tg.Buffer(np.zeros(4))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.seen.assign(self.seen.value + len(x))
        return foreign(x)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class Anew(tg.Layer):
    """A layer that makes an operation that cannot be traced in each pass."""

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.foreign = self.make()
        return self.foreign.forward(x)

    def backward(self, output_grad: Array) -> Array:
        return self.foreign.backward(output_grad)

    def make(self) -> tg.ElementwiseOperation:
        return Foreign()


class SortedAnew(Anew):
    """The same, of an operation that there is no native code for."""

    def make(self) -> tg.ElementwiseOperation:
        return Formula(lambda x: np.sort(x, axis=1), ones)


class Normalized(tg.Layer):
    """A matrix that an operation makes of a parameter."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.weight = tg.Parameter((4, 4), tg.initializers.GlorotUniform())
        self.foreign = Foreign()
        self.product = tg.MatMul()

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return self.product.forward(x, self.foreign.forward(self.weight.value))

    def backward(self, output_grad: Array) -> Array:
        grad, weight_grad = self.product.backward(output_grad)
        np.add(self.weight.grad, self.foreign.backward(weight_grad), out=self.weight.grad)
        return grad


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Anew, "Foreign(): it turns an array's value into a Python number"),
        (SortedAnew, "sort of shape (n, 4) in Formula()"),
        (Counting, "Counting() (it turns an array's value into a Python number"),
        (Normalized, "an array of shape (4, 4) and float32 in Foreign()"),
    ],
)
def test_what_the_planned_engine_takes_as_a_whole(layer: type[tg.Layer], reason: str) -> None:
    case = Case(lambda: [layer(), tg.Dense(4, 2)])
    data = data_for(case, 20, "float32")
    compiled = train(case, CompiledEngine, data, 7)
    assert reason in compiled.notes[0]
    assert compiled.notes[0].startswith("the planned engine runs this network: ")
    assert_same_bits(compiled, train(case, EagerEngine, data, 7))

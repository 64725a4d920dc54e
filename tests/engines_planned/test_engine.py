"""The planned engine in the cases that are not plain training."""

from __future__ import annotations

import copy
import logging
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import EagerEngine, PlannedEngine, StepSettings
from typegrad.errors import NumericalError, ShapeError
from typegrad.types import Array, Vector

from .training import ENGINES, Foreign, Twice, network_of, random_data, same_on_both, train


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("auto", "engine: planned; the training is too short to be worth native code"),
        ("planned", "engine: planned, as asked for"),
        ("eager", "engine: eager, as asked for"),
    ],
)
def test_history_and_log_name_the_engine(
    name: Any, note: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = tg.Trainer(network_of(tg.Dense(4, 1)), tg.SGD(0.1), engine=name)
    data = random_data()
    with caplog.at_level(logging.INFO, "typegrad"):
        history = trainer.fit(data.inputs, data.targets, epochs=1, seed=0)
    assert note in history.notes
    assert note in caplog.messages


def test_history_names_what_is_not_planned() -> None:
    trainer = tg.Trainer(network_of(tg.Dense(4, 1, Foreign())), tg.SGD(0.1))
    data = random_data()
    history = trainer.fit(data.inputs, data.targets, epochs=2, batch_size=5, seed=0)
    assert history.notes[-1] == (
        "Foreign() runs as it is written, not planned: "
        "it turns an array's value into a Python number"
    )
    assert len(history.notes) == 2


def test_unknown_engine() -> None:
    with pytest.raises(ValueError, match="engine is 'fast'; expected one of 'auto', 'eager'"):
        tg.Trainer(network_of(tg.Dense(4, 1)), tg.SGD(), engine="fast")  # type: ignore[call-overload]


def test_options_changed_between_epochs() -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        dropout = tg.Dropout(0.5)
        network = network_of(tg.Dense(4, 6, "tanh"), dropout, tg.Dense(6, 1))
        engine = kind(network, tg.SGD(), StepSettings())
        before = train(engine, random_data())
        dropout.rate = 0.1
        return before, train(engine, random_data()), network.flat.values

    same_on_both(run)


def test_a_changed_array_of_an_operation() -> None:
    class Shift(tg.ElementwiseOperation):
        def __init__(self) -> None:
            self.amount = np.zeros(6, np.float32)

        def output(self, x: Array) -> Array:
            return x + (self.amount + 1.0)

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        layer = tg.Activation(Shift())
        network = network_of(tg.Dense(4, 6), layer, tg.Dense(6, 1))
        engine = kind(network, tg.SGD(), StepSettings())
        before = train(engine, random_data())
        layer.operation.amount += 1.0  # type: ignore[attr-defined]
        return before, train(engine, random_data()), network.flat.values

    same_on_both(run)


def test_state_that_steps_carry_on() -> None:
    class Count(tg.ElementwiseOperation):
        def __init__(self) -> None:
            self.count = 0.0
            self.seen = np.zeros(())

        def output(self, x: Array) -> Array:
            self.count += 1.0
            self.seen = np.maximum(self.seen, np.max(x))
            return x / (self.count + 1.0 * float(np.sign(self.count)))

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad / (self.count + 1.0)

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        layer = tg.Activation(Count())
        network = network_of(tg.Dense(4, 6), layer, tg.Dense(6, 1))
        losses = train(kind(network, tg.SGD(), StepSettings()), random_data())
        return losses, network.flat.values, vars(layer.operation)["seen"]

    same_on_both(run)


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_an_array_that_changes_while_a_step_runs(accumulation_steps: int) -> None:
    class Drift(tg.ElementwiseOperation):
        def __init__(self) -> None:
            self.amount = np.zeros(6, np.float32)

        def output(self, x: Array) -> Array:
            self.amount += 0.125
            return x + self.amount

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(tg.Dense(4, 6), tg.Activation(Drift()), tg.Dense(6, 1))
        engine = kind(network, tg.SGD(), StepSettings(accumulation_steps=accumulation_steps))
        rows = 8 // accumulation_steps
        losses = engine.run_epoch(random_data(), np.arange(24), rows, np.full(3, 0.05))
        if isinstance(engine, PlannedEngine):
            assert engine.notes == [
                "Drift() runs as it is written, not planned: it computes something else each time"
            ]
        return losses, network.flat.values

    same_on_both(run)


def test_a_loss_that_is_not_planned() -> None:
    class ForeignLoss(tg.ElementwiseLoss):
        def terms(self, prediction: Array, target: Array) -> Array:
            return np.square(prediction - target) * float(np.max(target))

        def term_grads(self, prediction: Array, target: Array) -> Array:
            return 2.0 * (prediction - target) * float(np.max(target))

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(tg.Dense(4, 1), loss=ForeignLoss())
        engine = kind(network, tg.SGD(), StepSettings())
        losses = train(engine, random_data())
        if isinstance(engine, PlannedEngine):
            assert engine.notes[0].startswith("ForeignLoss() runs as it is written")
        return losses, network.flat.values

    same_on_both(run)


def test_shared_parameters() -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(Twice(), tg.Dense(4, 1))
        engine = kind(network, tg.Adam(), StepSettings(accumulation_steps=2))
        losses = engine.run_epoch(random_data(), np.arange(24), 6, np.full(2, 0.01))
        return losses, network.flat.values

    same_on_both(run)


def test_a_parameter_that_nothing_uses_keeps_a_zero_gradient() -> None:
    class Spare(tg.Activation):
        def __init__(self) -> None:
            super().__init__("tanh")
            self.unused = tg.Parameter((3,), tg.initializers.Constant(1.0))

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(tg.Dense(4, 1), Spare())
        network.flat.grads.fill(7.0)
        losses = train(kind(network, tg.SGD(), StepSettings()), random_data())
        return losses, network.flat.grads

    same_on_both(run)


@pytest.mark.parametrize("kind", ENGINES)
def test_not_finite(kind: type[EagerEngine]) -> None:
    network = network_of(tg.Dense(4, 4), tg.BatchNorm(4), tg.Dense(4, 1))
    engine = kind(network, tg.SGD(), StepSettings())
    train(engine, random_data())
    state = network.state_dict()
    data = random_data()
    data.inputs[9, 2] = np.inf
    message = r"step 8: the output of Linear\(\) in layer 0, Dense\(4, 4\) has NaN"
    with pytest.raises(tg.NumericalError, match=message.replace("NaN", "(NaN|infinity)")):
        train(engine, data)
    after = network.state_dict()
    moved = [name for name in state if state[name].tobytes() != after[name].tobytes()]
    assert "0.weight" in moved  # by step 7, whose rows are finite
    assert np.isfinite(network.flat.values).all()
    assert np.isfinite(after["1.running_mean"]).all()


def test_same_error_as_eager() -> None:
    messages = []
    for kind in ENGINES:
        network = network_of(tg.Dense(4, 5, "tanh"), tg.Dense(5, 1))
        engine = kind(network, tg.SGD(), StepSettings())
        with pytest.raises(tg.NumericalError) as caught:
            engine.run_epoch(random_data(scale=1e3), np.arange(24), 8, np.full(3, 1e38))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_wrong_shapes_are_the_operations_to_report() -> None:
    class Cut(tg.ElementwiseOperation):
        def output(self, x: Array) -> Array:
            return x[:, 1:]

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad

    for kind in ENGINES:
        engine = kind(network_of(tg.Dense(4, 1, Cut())), tg.SGD(), StepSettings())
        with pytest.raises(ShapeError, match=re.escape("Cut().output returned shape (8, 0)")):
            train(engine, random_data())


def test_rows_that_are_not_there() -> None:
    engine = PlannedEngine(network_of(tg.Dense(4, 1)), tg.SGD(), StepSettings())
    with pytest.raises(IndexError, match="rows outside 0 to 23"):
        engine.run_epoch(random_data(), np.array([3, 24]), 2, np.full(1, 0.1))


def test_stop_and_synchronize() -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        seen: list[bytes] = []
        settings = StepSettings(
            synchronize=lambda gradient: seen.append(gradient.tobytes()),
            should_stop=lambda: len(seen) == 2,
        )
        network = network_of(tg.Dense(4, 1))
        losses = train(kind(network, tg.SGD(), settings), random_data(), epochs=1)
        assert len(losses) == len(seen) == 2
        return losses, np.frombuffer(b"".join(seen), np.uint8), network.flat.values

    same_on_both(run)


@pytest.mark.parametrize("batch_size", [5, 24])
def test_full_batch_optimizer(batch_size: int) -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(tg.Dense(4, 5, "tanh"), tg.BatchNorm(5), tg.Dense(5, 1))
        engine = kind(network, tg.LBFGS(), StepSettings())
        data = random_data()
        losses = [
            engine.run_epoch(data, np.arange(24), batch_size, np.full(1, 1.0)) for _ in range(6)
        ]
        return *losses, *network.state_dict().values()

    same_on_both(run)


def test_an_observer_sees_operations() -> None:
    seen: list[str] = []
    engine = PlannedEngine(network_of(tg.Dense(4, 1)), tg.SGD(), StepSettings())
    train(engine, random_data())
    with tg.observe_operations(lambda operation, phase, inputs, result: seen.append(phase)):
        train(engine, random_data(), epochs=1)
    assert seen == ["forward", "forward", "backward", "backward", "backward", "backward"] * 3


def test_optimizer_state_loaded_between_epochs() -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network, optimizer = network_of(tg.Dense(4, 1)), tg.Adam()
        engine = kind(network, optimizer, StepSettings())
        train(engine, random_data())
        saved = optimizer.state_dict()
        train(engine, random_data())
        optimizer.load_state_dict(saved)
        train(engine, random_data())
        return network.flat.values, *optimizer.state.values()

    same_on_both(run)


def test_an_optimizer_of_ones_own() -> None:
    @dataclass(frozen=True, eq=False)
    class Swap(tg.Optimizer):
        """Exchanges its two states, so that neither may be written too early."""

        learning_rate: float = 0.1

        def init(self, parameters: Vector) -> dict[str, Vector]:
            return {"one": np.zeros_like(parameters), "two": np.ones_like(parameters)}

        def update(
            self,
            parameters: Vector,
            gradient: Vector,
            state: dict[str, Vector],
            learning_rate: float,
            step: int,
        ) -> tuple[Vector, dict[str, Vector]]:
            moved = parameters - learning_rate * (gradient + state["one"])
            return moved, {"one": state["two"], "two": state["one"] + np.sum(gradient)}

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network, optimizer = network_of(tg.Dense(4, 1)), Swap()
        engine = kind(network, optimizer, StepSettings())
        train(engine, random_data())
        if isinstance(engine, PlannedEngine):
            assert engine.notes == []
        return network.flat.values, *optimizer.state.values()

    same_on_both(run)


def test_an_update_that_fails_leaves_the_parameters() -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network = network_of(tg.Dense(4, 1))
        engine = kind(network, tg.SGD(), StepSettings())
        data, rows = random_data(), np.arange(24)
        engine.run_epoch(data, rows[:16], 8, np.array([0.1, 0.1]))
        before = network.flat.values.copy()
        with pytest.raises(
            NumericalError, match=r"step 3: the update of SGD with learning rate 3e"
        ):
            engine.run_epoch(data, rows[16:], 8, np.array([3e38]))
        np.testing.assert_array_equal(network.flat.values, before)
        engine.run_epoch(data, rows[16:], 8, np.array([0.1]))
        assert (network.flat.values != before).any()
        return (network.flat.values,)

    same_on_both(run)


def test_an_optimizer_that_leaves_parameters_as_they_are() -> None:
    @dataclass(frozen=True, eq=False)
    class Observer(tg.Optimizer):
        """Sums up the gradients."""

        learning_rate: float = 0.1

        def init(self, parameters: Vector) -> dict[str, Vector]:
            return {"sum": np.zeros_like(parameters)}

        def update(
            self,
            parameters: Vector,
            gradient: Vector,
            state: dict[str, Vector],
            learning_rate: float,
            step: int,
        ) -> tuple[Vector, dict[str, Vector]]:
            return parameters, {"sum": state["sum"] + gradient}

    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network, optimizer = network_of(tg.Dense(4, 1)), Observer()
        engine = kind(network, optimizer, StepSettings())
        before = network.flat.values.copy()
        train(engine, random_data())
        np.testing.assert_array_equal(network.flat.values, before)
        network.flat.values[...] = 1.0
        train(engine, random_data())
        np.testing.assert_array_equal(network.flat.values, 1.0)
        return network.flat.values, *optimizer.state.values()

    same_on_both(run)


def test_the_plan_of_an_update_outlives_the_optimizers_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    optimizer = tg.Adam()
    engine = PlannedEngine(network_of(tg.Dense(4, 1)), optimizer, StepSettings())
    train(engine, random_data())
    before = optimizer.state["mean"]
    monkeypatch.setattr("typegrad.engines.planned.trace_update", None)
    optimizer.reset()
    train(engine, random_data())
    assert optimizer.state["mean"] is before
    optimizer.load_state_dict(optimizer.state_dict())
    train(engine, random_data())
    assert optimizer.state["mean"] is before


def test_reset() -> None:
    def run(kind: type[EagerEngine]) -> tuple[Any, ...]:
        network, optimizer = network_of(tg.Dense(4, 5), tg.Dense(5, 1)), tg.Adam(amsgrad=True)
        engine = kind(network, optimizer, StepSettings())
        train(engine, random_data())
        optimizer.reset()
        losses = train(engine, random_data())
        return losses, network.flat.values, *optimizer.state.values()

    same_on_both(run)


def test_a_result_whose_shape_depends_on_values() -> None:
    class Keep(tg.Layer):
        def output_features(self, in_features: int | None) -> int | None:
            return in_features

        def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
            self.rows = [row for row, value in enumerate(x[:, 0].tolist()) if value < 9.0]
            return x[self.rows]

        def backward(self, output_grad: Array) -> Array:
            return output_grad

    data = random_data()
    data.inputs[20, 0] = 10.0
    engine = PlannedEngine(network_of(Keep(), tg.Dense(4, 1)), tg.SGD(), StepSettings())
    with pytest.raises(ShapeError, match=r"Keep\(\).forward returned shape \(7, 4\), but \(8, 4\)"):
        train(engine, data)


def test_nothing_of_the_trace_stays_behind() -> None:
    network = network_of(tg.Dense(4, 5, "tanh"), tg.BatchNorm(5), tg.Dense(5, 1))
    before = [parameter.value for parameter in network.parameters.values()]
    train(PlannedEngine(network, tg.SGD(), StepSettings()), random_data())
    after = [parameter.value for parameter in network.parameters.values()]
    assert all(left is right for left, right in zip(before, after, strict=True))
    twin = copy.deepcopy(network)
    x = random_data().inputs
    assert twin.predict(x).tobytes() == network.predict(x).tobytes()
    with pytest.raises(tg.StateError, match="backward was called before forward"):
        tg.NeuralNetwork.backward(_untouched_after_planning(), np.ones((8, 1), np.float32))


def _untouched_after_planning() -> tg.NeuralNetwork:
    network = network_of(tg.Dense(4, 1))
    train(PlannedEngine(network, tg.SGD(), StepSettings()), random_data())
    return network

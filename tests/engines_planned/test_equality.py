"""The planned engine's numbers are the eager engine's, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad import losses, optimizers
from typegrad.engines import EagerEngine, Engine, PlannedEngine, StepSettings, TrainingData
from typegrad.engines.planned_step import RunMode, StepTracer
from typegrad.tracing import evaluate
from typegrad.types import AnyArray, Array


class Centre(tg.UnaryOperation):
    """Uses a function that plans only know to call: np.median."""

    def output(self, x: Array) -> Array:
        centre: Array = x - np.median(x, axis=1, keepdims=True)
        return centre

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 0.5


class ForeignScale(tg.ParameterOperation[Array]):
    """Leaves NumPy in both passes, so that it cannot be traced."""

    def output(self, x: Array, factor: Array) -> Array:
        product: Array = np.array((x * factor).tolist(), x.dtype)
        return product

    def input_grad(self, output_grad: Array, x: Array, y: Array, factor: Array) -> Array:
        return output_grad * factor

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, factor: Array
    ) -> tuple[Array]:
        return (np.array((output_grad * x).sum(axis=0).tolist(), x.dtype),)


class ForeignLayer(tg.Layer):
    def __init__(self, features: int) -> None:
        self.in_features = self.out_features = features
        self.factor = tg.Parameter((features,), tg.initializers.Constant(1.5))
        self.operations = (ForeignScale(self.factor),)


class NoiseLayer(tg.Layer):
    """Draws from a generator of its own: each step is different."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(5)

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        noise: Array = np.asarray(self.generator.standard_normal(x.shape))
        return x + noise.astype(x.dtype)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class BranchingLayer(tg.Layer):
    """Branches on values, now this way, now that."""

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.factor = 2.0 if x.mean() > 0 else -1.0
        return x * self.factor

    def backward(self, output_grad: Array) -> Array:
        return output_grad * self.factor


class InPlaceLayer(tg.Layer):
    """Builds its result by writing into parts of an array."""

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        y = np.zeros_like(x)
        y[:, 0] = x[:, 0] ** 2
        y[:, 1:] = 0.5 * x[:, 1:]
        y += 1.0
        self.slope = 2.0 * x[:, :1]
        return y

    def backward(self, output_grad: Array) -> Array:
        rest = output_grad[:, 1:] * 0.5
        return np.concatenate([output_grad[:, :1] * self.slope, rest], axis=1)


class ViewLayer(tg.Layer):
    """Passes on a view of its input that BLAS cannot take as it is."""

    def __init__(self, view: Callable[[Array], Array]) -> None:
        self.view = view

    def output_features(self, in_features: int | None) -> int | None:
        return None

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return self.view(x)

    def backward(self, output_grad: Array) -> Array:
        # Not its derivative, but of the input's shape, which is what this is about.
        return np.concatenate([output_grad, output_grad], axis=1)[:, :5] * 0.5


VIEWS: dict[str, Callable[[Array], Array]] = {
    "rows from the last": lambda x: np.flip(x, axis=0),
    "columns from the last": lambda x: x[:, ::-1],
    "every other column": lambda x: x[:, ::2],
    "one column, again and again": lambda x: np.broadcast_to(x[:, 1:2], x.shape),
}


@dataclass(frozen=True)
class Case:
    """A network and what it is trained with."""

    layers: Callable[[], list[Any]] = lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 2)]
    loss: Callable[[], tg.Loss] = tg.MSELoss
    optimizer: Callable[[], tg.Optimizer] = tg.Adam
    settings: StepSettings = field(default_factory=lambda: StepSettings(mask_seed=3))
    batch_size: int = 3
    dtype: type[np.floating[Any]] = np.float32
    weighted: bool = False
    codes: bool = False
    outputs: int = 2
    classes: bool = False
    rows: int = 40
    epochs: int = 3


def data_for(case: Case) -> TrainingData:
    generator = np.random.default_rng(1)
    inputs = generator.standard_normal((case.rows, 4))
    if case.codes:
        inputs[:, 1:3] = generator.integers(0, 3, (case.rows, 2))
    targets = np.abs(generator.standard_normal((case.rows, case.outputs)))
    if case.classes:
        targets = generator.integers(0, 2, case.rows).astype(float)
    weights = generator.uniform(0.5, 1.5, case.rows) if case.weighted else None
    return TrainingData(
        inputs.astype(case.dtype),
        targets.astype(case.dtype),
        None if weights is None else weights.astype(case.dtype),
    )


def run(case: Case, kind: Callable[..., Engine]) -> tuple[dict[str, bytes], Engine]:
    """Train, and return all numbers there are, as bytes."""
    network = tg.NeuralNetwork(case.layers(), loss=case.loss(), seed=2, dtype=case.dtype)
    optimizer = case.optimizer()
    engine = kind(network, optimizer, case.settings)
    data = data_for(case)
    steps = -(-case.rows // (case.batch_size * case.settings.accumulation_steps))
    numbers: dict[str, AnyArray] = {}
    for epoch in range(case.epochs):
        order = np.random.default_rng([7, epoch]).permutation(case.rows)
        rates = np.linspace(0.01, 0.02, steps)
        numbers[f"losses {epoch}"] = engine.run_epoch(data, order, case.batch_size, rates)
        numbers[f"gradient {epoch}"] = network.flat.grads.copy()
        numbers.update((f"{name} {epoch}", value) for name, value in network.state_dict().items())
        numbers.update(
            (f"{name} {epoch}", np.array(value)) for name, value in optimizer.state_dict().items()
        )
    return {name: value.tobytes() for name, value in numbers.items()}, engine


def assert_equal(case: Case) -> PlannedEngine:
    eager, _ = run(case, EagerEngine)
    planned, engine = run(case, PlannedEngine)
    different = [name for name in eager if eager[name] != planned[name]]
    assert eager.keys() == planned.keys()
    assert not different
    assert isinstance(engine, PlannedEngine)
    return engine


ACTIVATIONS = {
    f"activation {name}": Case(lambda name=name: [tg.Dense(4, 5, name), tg.Dense(5, 2)])  # type: ignore[misc]
    for name in tg.ACTIVATIONS
}
LAYERS = {
    "one layer": Case(lambda: [tg.Dense(4, 2)]),
    "no bias": Case(lambda: [tg.Dense(4, 5, "relu", bias=False), tg.Dense(5, 2)]),
    "gelu tanh": Case(lambda: [tg.Dense(4, 5, tg.GELU("tanh")), tg.Dense(5, 2)]),
    "activation layer": Case(lambda: [tg.Dense(4, 2), tg.Activation("tanh")]),
    "dropout": Case(lambda: [tg.Dense(4, 9, "tanh"), tg.Dropout(0.4), tg.Dense(9, 2)]),
    "batch norm": Case(lambda: [tg.Dense(4, 5), tg.BatchNorm(5), tg.ReLU(), tg.Dense(5, 2)]),
    "layer norm": Case(lambda: [tg.Dense(4, 5), tg.LayerNorm(5), tg.Dense(5, 2)]),
    "residual": Case(
        lambda: [tg.Residual(tg.Dense(4, 4, "tanh"), tg.Dropout(0.2)), tg.Dense(4, 2)]
    ),
    "chain": Case(lambda: [tg.Chain(tg.Dense(4, 4, "elu"), tg.BatchNorm(4)), tg.Dense(4, 2)]),
    "column embedding": Case(
        lambda: [tg.ColumnEmbedding(4, {1: 3, 2: 4}, 2), tg.Dense(6, 2)], codes=True
    ),
    "flatten": Case(lambda: [tg.Flatten(), tg.Dense(4, 2)]),
}
LOSSES = {
    "MSELoss": Case(),
    "MAELoss": Case(loss=tg.MAELoss),
    "HuberLoss": Case(loss=lambda: tg.HuberLoss(0.4)),
    "LogCoshLoss": Case(loss=tg.LogCoshLoss),
    "PoissonNLLLoss": Case(loss=tg.PoissonNLLLoss),
    "GaussianNLLLoss": Case(loss=tg.GaussianNLLLoss, outputs=1),
    "QuantileLoss": Case(loss=lambda: tg.QuantileLoss((0.2, 0.8)), outputs=1),
    "QuantileLoss non-crossing": Case(
        loss=lambda: tg.QuantileLoss((0.2, 0.8), non_crossing=True), outputs=1
    ),
    "CrossEntropyLoss": Case(loss=tg.CrossEntropyLoss, classes=True),
    "CrossEntropyLoss of probabilities": Case(loss=tg.CrossEntropyLoss),
}
OPTIMIZERS: dict[str, Callable[[], tg.Optimizer]] = {
    "SGD": tg.SGD,
    "SGD momentum": lambda: tg.SGD(momentum=0.9, weight_decay=0.1),
    "SGD nesterov": lambda: tg.SGD(momentum=0.9, nesterov=True),
    "Adam": tg.Adam,
    "Adam amsgrad": lambda: tg.Adam(amsgrad=True, weight_decay=0.1),
    "AdamW": tg.AdamW,
    "NAdam": tg.NAdam,
    "RAdam": tg.RAdam,
    "RMSProp": tg.RMSProp,
    "RMSProp centered": lambda: tg.RMSProp(centered=True, momentum=0.5),
    "Adagrad": tg.Adagrad,
    "Adadelta": tg.Adadelta,
    "Lion": lambda: tg.Lion(weight_decay=0.1),
}
SETTINGS = {
    "weights": Case(weighted=True),
    "clip norm": Case(settings=StepSettings(clip_norm=0.1)),
    "clip value": Case(settings=StepSettings(clip_value=0.01)),
    "accumulation": Case(settings=StepSettings(accumulation_steps=4)),
    "accumulation, weights": Case(settings=StepSettings(accumulation_steps=3), weighted=True),
}
OWN = {
    "unknown function": Case(lambda: [tg.Dense(4, 5), _layer(Centre()), tg.Dense(5, 2)]),
    "foreign": Case(lambda: [tg.Dense(4, 5), ForeignLayer(5), tg.Dense(5, 2)]),
    "foreign, accumulation": Case(
        lambda: [tg.Dense(4, 5), ForeignLayer(5), tg.Dense(5, 2)],
        settings=StepSettings(accumulation_steps=2),
    ),
    "noise": Case(lambda: [tg.Dense(4, 5, "tanh"), NoiseLayer(), tg.Dense(5, 2)]),
    "branches": Case(lambda: [tg.Dense(4, 5), BranchingLayer(), tg.BatchNorm(5), tg.Dense(5, 2)]),
    "branches, accumulation": Case(
        lambda: [tg.Dense(4, 5), BranchingLayer(), tg.BatchNorm(5), tg.Dense(5, 2)],
        settings=StepSettings(accumulation_steps=4),
    ),
    "in place": Case(lambda: [tg.Dense(4, 5), InPlaceLayer(), tg.Dense(5, 2)]),
    **{
        name: Case(lambda view=view: [tg.Dense(4, 5), ViewLayer(view), tg.Dense(_width(view), 2)])  # type: ignore[misc]
        for name, view in VIEWS.items()
    },
}
CASES = {
    **ACTIVATIONS, **LAYERS, **LOSSES, **SETTINGS, **OWN,
    **{name: Case(optimizer=make) for name, make in OPTIMIZERS.items()},
}  # fmt: skip


def _width(view: Callable[[Array], Array]) -> int:
    return int(view(np.zeros((1, 5))).shape[1])


def _layer(operation: tg.UnaryOperation) -> tg.Layer:
    layer = tg.Layer()
    layer.operations = (operation,)
    return layer


@pytest.mark.parametrize("batch_size", [1, 3, 32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_equals_eager(name: str, dtype: type[np.floating[Any]], batch_size: int) -> None:
    assert_equal(replace(CASES[name], dtype=dtype, batch_size=batch_size))


@pytest.mark.parametrize("widths", [(1, 1), (3, 17), (17, 3), (100, 1)])
def test_widths(widths: tuple[int, int]) -> None:
    first, second = widths
    layers = lambda: [  # noqa: E731
        tg.Dense(4, first, "tanh"), tg.Dense(first, second, "relu"), tg.Dense(second, 2)
    ]  # fmt: skip
    assert_equal(Case(layers, batch_size=7))


@pytest.mark.parametrize("batch_size", [1, 2, 7, 8, 64, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_layers(dtype: type[np.floating[Any]], batch_size: int) -> None:
    layers = lambda: [  # noqa: E731
        tg.Dense(4, 300, "gelu"), tg.Dense(300, 250, "tanh"), tg.Dense(250, 2)
    ]  # fmt: skip
    assert_equal(Case(layers, batch_size=batch_size, rows=70, dtype=dtype))


def test_tables_are_complete() -> None:
    def names(module: Any, base: type) -> set[str]:
        parts = (getattr(module, name) for name in module.__all__)
        return {
            part.__name__ for part in parts if isinstance(part, type) and issubclass(part, base)
        }

    abstract = {"Loss", "ElementwiseLoss", "Optimizer"}
    assert names(losses, tg.Loss) - abstract == {name.split()[0] for name in LOSSES}
    assert names(optimizers, tg.Optimizer) - abstract == {name.split()[0] for name in OPTIMIZERS}
    made = [layer for case in CASES.values() for layer in case.layers()]
    kinds = {type(part).__name__ for part in made}
    inner = {type(part).__name__ for layer in made for _, part in tg.named_parts(layer, tg.Layer)}
    # Two are bases of others; Embedding has a test of its own.
    expected = names(tg.layers, tg.Layer) - {"Layer", "ElementwiseLayer", "Embedding"}
    assert expected - kinds - inner == set()


def test_embedding() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 3, (20, 2)).astype(np.float32)
    data = TrainingData(codes, codes[:, :1] - codes[:, 1:])
    found = []
    for kind in (EagerEngine, PlannedEngine):
        network = tg.NeuralNetwork(
            tg.Embedding(3, 2), tg.Flatten(), tg.Dense(4, 1), loss=tg.MSELoss(), seed=0
        )
        engine = kind(network, tg.SGD(0.1), StepSettings())
        engine.run_epoch(data, np.arange(20), 8, np.full(3, 0.1))
        found.append(network.flat.values.tobytes())
    assert found[0] == found[1]


TRACEABLE = [name for name in CASES if name not in ("noise", "branches, accumulation")]


@pytest.mark.parametrize("name", TRACEABLE)
def test_interpreter_equals_eager(name: str) -> None:
    """What the graph means is what the network computes."""
    case = CASES[name]
    network = tg.NeuralNetwork(case.layers(), loss=case.loss(), seed=2, dtype=case.dtype)
    engine = EagerEngine(network, case.optimizer(), case.settings)
    data = data_for(case)
    rows = np.arange(8)
    current = RunMode(engine.mode(step=5, start=0))
    graph = StepTracer(network, current).trace(data.take(rows), total=8, first=True)
    text = str(graph)
    assert text.count("\n") > len(graph.calls)
    start = network.state_dict()
    network.zero_grad()
    inputs: dict[str, Any] = {"inputs": data.inputs[rows], "targets": data.targets[rows]}
    if data.weights is not None:
        inputs["weights"] = data.weights[rows]
    found = [float(evaluate(graph, inputs)["loss"]), network.flat.grads.copy()]
    found += list(network.state_dict().values())
    network.load_state_dict(start)
    expected = [engine.accumulate(data, rows, 8, step=5), network.flat.grads.copy()]
    expected += list(network.state_dict().values())
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left, right)

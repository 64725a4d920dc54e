"""Trainings to compare: networks with all layers, losses and optimizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import typegrad as tg
from typegrad.engines import Engine, StepSettings, TrainingData
from typegrad.types import AnyArray, Vector

from .accuracy import ulps_of_largest

ULPS = {"losses": 8.0, "parameters": 16.0, "gradient": 64.0}
STATE_ULPS = 46.0
"""How far engines may be apart after some steps, in ulps of an array's largest number.

Twice the most that was found, on all targets: in float32, 4 for losses, 8 for parameters, 32 for
gradients and 23 for an optimizer's state; in float64, where tanh has half the error, 4, 4, 25, 14.
Sums of up to 100 terms in another order, and multiply-adds that round once, cost a few. It is more
where what is left is a difference of near numbers: the gradient of a step on one example, as each
training's last one is, is proportional to that example's residual.
"""

TIMES = {"Adadelta": 3.0}
"""Of the above: its state has squares of quotients of roots of squares; 66 and 19 were found."""


@dataclass(frozen=True)
class Case:
    """A network and what it is trained with.

    `codes` are columns of the inputs, from one up to another, that hold codes of categories.
    `note` is part of what the compiled engine says of it. Of a case that `mixes_examples`, steps of
    few rows are not native.
    """

    layers: Callable[[], list[Any]] = lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 2)]
    loss: Callable[[], tg.Loss] = tg.MSELoss
    optimizer: Callable[[], Any] = lambda: tg.SGD(0.05)
    settings: StepSettings = field(default_factory=lambda: StepSettings(mask_seed=3))
    outputs: int = 2
    codes: tuple[int, int] = (0, 0)
    classes: bool = False
    weighted: bool = False
    note: str | None = None
    mixes_examples: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a training led to."""

    losses: Vector
    numbers: dict[str, AnyArray]
    notes: list[str]


def data_for(case: Case, rows: int, dtype: Any, features: int = 4) -> TrainingData:
    """Random examples that suit a case."""
    generator = np.random.default_rng(1)
    inputs = generator.standard_normal((rows, features))
    first, last = case.codes
    inputs[:, first:last] = generator.integers(0, 3, (rows, last - first))
    targets = np.abs(generator.standard_normal((rows, case.outputs)))
    if case.classes:
        targets = generator.integers(0, 2, rows).astype(float)
    weights = generator.uniform(0.5, 1.5, rows).astype(dtype) if case.weighted else None
    return TrainingData(inputs.astype(dtype), targets.astype(dtype), weights)


def train(
    case: Case,
    build: Callable[..., Engine],
    data: TrainingData,
    batch_size: int,
    epochs: int = 2,
    **options: Any,
) -> Outcome:
    """Train a fresh network, and return all numbers there are."""
    network = tg.NeuralNetwork(
        *case.layers(), loss=case.loss(), seed=2, dtype=data.inputs.dtype.name
    )
    optimizer = case.optimizer()
    notes: list[str] = []
    settings = case.settings
    engine = build(network, optimizer, settings, **options)
    vars(engine)["_note"] = notes.append
    steps = -(-len(data) // (batch_size * settings.accumulation_steps))
    if isinstance(optimizer, tg.FullBatchOptimizer):
        steps = 3
    losses = []
    for epoch in range(epochs):
        order = np.random.default_rng([7, epoch]).permutation(len(data))
        losses.append(engine.run_epoch(data, order, batch_size, np.linspace(0.01, 0.02, steps)))
    flat = network.flat
    numbers: dict[str, AnyArray] = {"parameters": flat.values, "gradient": flat.grads}
    numbers.update((name, buffer.value) for name, buffer in network.buffers.items())
    numbers.update((name, np.array(value)) for name, value in optimizer.state_dict().items())
    return Outcome(np.concatenate(losses), numbers, notes)


def differences(found: Outcome, expected: Outcome) -> dict[str, float]:
    """Largest difference in each array: in ulps, of the network's dtype, of its largest number."""
    dtype = expected.numbers["parameters"].dtype
    assert found.numbers.keys() == expected.numbers.keys()
    pairs = {"losses": (found.losses, expected.losses)}
    for name, array in expected.numbers.items():
        if array.dtype.kind == "f":
            pairs[name] = (found.numbers[name], array)
        else:
            assert np.array_equal(found.numbers[name], array)
    return {name: ulps_of_largest(*pair, dtype) for name, pair in pairs.items()}


def assert_close(found: Outcome, expected: Outcome, times: float = 1.0) -> None:
    """Assert that all is equal up to rounding, or to some times of it."""
    for name, difference in differences(found, expected).items():
        assert difference <= times * ULPS.get(name, STATE_ULPS), (name, difference)


def assert_same_bits(found: Outcome, expected: Outcome) -> None:
    """Assert that all is equal to the last bit."""
    assert found.losses.tobytes() == expected.losses.tobytes()
    assert found.numbers.keys() == expected.numbers.keys()
    for name, numbers in expected.numbers.items():
        assert found.numbers[name].tobytes() == numbers.tobytes(), name


ACTIVATIONS = {
    f"activation {name}": Case(lambda name=name: [tg.Dense(4, 5, name), tg.Dense(5, 2)])  # type: ignore[misc]
    for name in tg.ACTIVATIONS
}


def batch_norm_layers() -> list[Any]:
    """Layers with a batch normalisation."""
    return [tg.Dense(4, 5), tg.BatchNorm(5), tg.ReLU(), tg.Dense(5, 2)]


LAYERS = {
    "one layer": Case(lambda: [tg.Dense(4, 2)]),
    "one layer, one output": Case(lambda: [tg.Dense(4, 1)], outputs=1),
    "one output": Case(lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 1)], outputs=1),
    "narrow": Case(lambda: [tg.Dense(4, 1, "tanh"), tg.Dense(1, 1)], outputs=1),
    "narrow, then wide": Case(lambda: [tg.Dense(4, 1, "tanh"), tg.Dense(1, 20)], outputs=20),
    "no bias": Case(lambda: [tg.Dense(4, 5, "relu", bias=False), tg.Dense(5, 2)]),
    "gelu tanh": Case(lambda: [tg.Dense(4, 5, tg.GELU("tanh")), tg.Dense(5, 2)]),
    "activation layer": Case(lambda: [tg.Dense(4, 2), tg.Activation("tanh")]),
    "dropout": Case(lambda: [tg.Dense(4, 37, "tanh"), tg.Dropout(0.4), tg.Dense(37, 2)]),
    "dropout of one": Case(
        lambda: [tg.Dense(4, 1, "tanh"), tg.Dropout(0.4), tg.Dense(1, 2)],
    ),
    "layer norm": Case(lambda: [tg.Dense(4, 5), tg.LayerNorm(5), tg.Dense(5, 2)]),
    "residual": Case(
        lambda: [tg.Residual(tg.Dense(4, 4, "tanh"), tg.Dropout(0.2)), tg.Dense(4, 2)]
    ),
    "chain": Case(lambda: [tg.Chain(tg.Dense(4, 4, "elu"), tg.LayerNorm(4)), tg.Dense(4, 2)]),
    "flatten": Case(lambda: [tg.Flatten(), tg.Dense(4, 2)]),
    "batch norm": Case(batch_norm_layers, mixes_examples=True),
    "batch norm of one": Case(
        lambda: [tg.Dense(4, 1), tg.BatchNorm(1), tg.Dense(1, 2)], mixes_examples=True
    ),
    "batch norms": Case(
        lambda: [
            tg.BatchNorm(4),
            tg.Dense(4, 37, "tanh", bias=False),
            tg.Dropout(0.2),
            tg.BatchNorm(37),
            tg.Dense(37, 2),
        ],
        mixes_examples=True,
    ),
    "column embedding": Case(
        lambda: [tg.ColumnEmbedding(4, {1: 3, 2: 4}, 2), tg.Dense(6, 2)], codes=(1, 3)
    ),
    "column embedding of all": Case(
        lambda: [tg.ColumnEmbedding(4, dict.fromkeys(range(4), 3), 2), tg.Dense(8, 2)],
        codes=(0, 4),
    ),
    "column embedding of one": Case(
        lambda: [tg.ColumnEmbedding(4, {1: 3, 2: 4}, 1), tg.Dense(4, 2)], codes=(1, 3)
    ),
    "embedding": Case(lambda: [tg.Embedding(5, 3), tg.Flatten(), tg.Dense(12, 2)], codes=(0, 4)),
    "embedding of one": Case(
        lambda: [tg.Embedding(19, 1), tg.Flatten(), tg.Dense(4, 2)], codes=(0, 4)
    ),
    "wide embedding": Case(
        lambda: [tg.Embedding(150, 17), tg.Flatten(), tg.Dense(68, 2)], codes=(0, 4)
    ),
}
LOSSES = {
    "MSELoss": Case(),
    "MAELoss": Case(loss=tg.MAELoss),
    "HuberLoss": Case(loss=lambda: tg.HuberLoss(0.4)),
    "LogCoshLoss": Case(loss=tg.LogCoshLoss),
    "PoissonNLLLoss": Case(loss=tg.PoissonNLLLoss),
    "GaussianNLLLoss": Case(loss=tg.GaussianNLLLoss, outputs=1),
    "GaussianNLLLoss of two": Case(
        lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 4)], loss=tg.GaussianNLLLoss
    ),
    "QuantileLoss": Case(loss=lambda: tg.QuantileLoss((0.2, 0.8)), outputs=1),
    "QuantileLoss non-crossing": Case(
        lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 3)],
        loss=lambda: tg.QuantileLoss((0.2, 0.5, 0.8), non_crossing=True),
        outputs=1,
    ),
    "QuantileLoss non-crossing of two": Case(
        lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 4)],
        loss=lambda: tg.QuantileLoss((0.2, 0.8), non_crossing=True),
        note="runs as it is written, between native steps: there is no native code for",
        mixes_examples=True,
    ),
    "CrossEntropyLoss": Case(loss=tg.CrossEntropyLoss, classes=True),
    "CrossEntropyLoss of probabilities": Case(loss=tg.CrossEntropyLoss),
}
OPTIMIZERS = {
    "SGD": Case(),
    "SGD momentum": Case(optimizer=lambda: tg.SGD(momentum=0.9, weight_decay=0.1)),
    "SGD nesterov": Case(optimizer=lambda: tg.SGD(momentum=0.9, nesterov=True)),
    "Adam": Case(optimizer=tg.Adam),
    "Adam amsgrad": Case(optimizer=lambda: tg.Adam(amsgrad=True, weight_decay=0.1)),
    "AdamW": Case(optimizer=tg.AdamW),
    "NAdam": Case(optimizer=tg.NAdam),
    "RAdam": Case(optimizer=tg.RAdam),
    "RMSProp": Case(optimizer=tg.RMSProp),
    "RMSProp centered": Case(optimizer=lambda: tg.RMSProp(centered=True, momentum=0.5)),
    "Adagrad": Case(optimizer=tg.Adagrad),
    "Adadelta": Case(optimizer=tg.Adadelta),
    "Lion": Case(optimizer=lambda: tg.Lion(weight_decay=0.1)),
    "LBFGS": Case(optimizer=tg.LBFGS),
}
SETTINGS = {
    "weights": Case(weighted=True),
    "weights, one output": Case(
        lambda: [tg.Dense(4, 5, "tanh"), tg.Dense(5, 1)], weighted=True, outputs=1
    ),
    "clip norm": Case(settings=StepSettings(clip_norm=0.1), optimizer=tg.Adam),
    "clip value": Case(settings=StepSettings(clip_value=0.01), optimizer=tg.Adam),
    "clip both": Case(settings=StepSettings(clip_norm=0.1, clip_value=0.02)),
    "batch norm, clip norm": Case(
        batch_norm_layers, settings=StepSettings(clip_norm=0.1), mixes_examples=True
    ),
    "batch norm, weights": Case(batch_norm_layers, weighted=True, mixes_examples=True),
    "batch norm, accumulation": Case(
        batch_norm_layers,
        settings=StepSettings(accumulation_steps=2),
        mixes_examples=True,
        note="since examples of a batch may have to do with each other",
    ),
    "accumulation": Case(settings=StepSettings(accumulation_steps=4)),
    "accumulation, weights": Case(settings=StepSettings(accumulation_steps=3), weighted=True),
}
CASES = {
    name: case
    for table in (ACTIVATIONS, LAYERS, LOSSES, OPTIMIZERS, SETTINGS)
    for name, case in table.items()
    if name != "LBFGS"  # its line search makes much of the least difference
}

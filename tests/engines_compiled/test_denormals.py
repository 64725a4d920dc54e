"""Denormal numbers among an optimizer's state, once a gradient has become zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, Engine, StepSettings, TrainingData
from typegrad.engines.compiled import network_code
from typegrad.types import Vector

pytestmark = pytest.mark.usefixtures("every_target")


def second_column(
    kind: Callable[..., Engine],
    optimizer: tg.Optimizer,
    parts: tuple[int, ...],
    batch_size: int = 1,
    dtype: str = "float32",
    **options: Any,
) -> Vector:
    """Take so many steps at a time; only the first eight have something in the second column.

    Returns its weight and what the optimizer has for it.
    """
    network = tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=1, dtype=dtype)
    engine = kind(network, optimizer, StepSettings(), **options)
    inputs = np.ones((sum(parts) * batch_size, 2), dtype)
    inputs[8 * batch_size :, 1] = 0.0
    data = TrainingData(inputs, np.zeros((len(inputs), 1), dtype))
    for rows, count in zip(
        np.split(np.arange(len(inputs)), batch_size * np.cumsum(parts)[:-1]), parts, strict=True
    ):
        engine.run_epoch(data, rows, batch_size, np.full(count, 0.001))
    numbers = [network.flat.values, *optimizer.state_arrays.values()]
    return np.array([each[1] for each in numbers])


@pytest.mark.parametrize(
    ("dtype", "momentum", "steps"), [("float32", 0.7, 256), ("float64", 0.49, 1024)]
)
@pytest.mark.parametrize("batch_size", [1, 100])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_momentum_that_fades_away_ends_at_zero(
    *,
    threads: int,
    batch_size: int,
    dtype: str,
    momentum: float,
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The eager engine goes on with denormal numbers."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)

    def eager(*parts: int) -> Vector:
        return second_column(EagerEngine, tg.SGD(momentum=momentum), parts, batch_size, dtype)

    def compiled(*parts: int) -> Vector:
        optimizer = tg.SGD(momentum=momentum)
        return second_column(CompiledEngine, optimizer, parts, batch_size, dtype, threads=threads)

    tiny = float(np.finfo(dtype).tiny)
    normal = eager(steps - 40)
    assert abs(normal[1]) >= tiny
    np.testing.assert_allclose(compiled(steps - 40), normal, rtol=1e-4)
    weight, denormal = eager(steps)
    assert 0.0 < abs(denormal) < tiny
    assert compiled(steps - 1)[1] != 0.0
    for parts in ((steps,), (3, steps - 3)):
        found = compiled(*parts)
        np.testing.assert_allclose(found[0], weight, rtol=1e-4)
        assert found[1] == 0.0


def test_the_sign_of_a_small_momentum_counts() -> None:
    """Lion goes on by the whole rate, however small the momentum is."""
    weights = [
        second_column(kind, tg.Lion(betas=(0.9, 0.9)), (3000,))[0]
        for kind in (EagerEngine, CompiledEngine)
    ]
    assert abs(weights[0]) > 2.0
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-4)

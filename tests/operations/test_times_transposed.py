"""The product with a transposed matrix, by either way of computing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, StepSettings, TrainingData
from typegrad.operations.linear import is_faster_transposed, times_transposed
from typegrad.tracing import Recorder, evaluate
from typegrad.types import Array

GENERATOR = np.random.default_rng(0)
SHAPES = [(1, 300, 300), (2, 300, 300), (64, 300, 300), (65, 300, 300), (8, 20, 30), (0, 300, 300)]


def matrices(shape: tuple[int, int, int]) -> tuple[Array, Array]:
    rows, inputs, outputs = shape
    return GENERATOR.standard_normal((rows, outputs)), GENERATOR.standard_normal((inputs, outputs))


def test_few_rows_of_a_large_matrix() -> None:
    assert [is_faster_transposed(*matrices(shape)) for shape in SHAPES] == [
        False, True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_product(shape: tuple[int, int, int], dtype: Any) -> None:
    x, weight = (matrix.astype(dtype) for matrix in matrices(shape))
    product = times_transposed(x, weight)
    np.testing.assert_allclose(
        product, x @ weight.T, rtol=0, atol=1e-3 * np.finfo(dtype).eps ** 0.5
    )
    assert product.dtype == dtype
    assert product.flags.c_contiguous


class Named(np.ndarray[Any, Any]):
    """An array with a name, as users make them."""


@pytest.mark.parametrize("shape", SHAPES)
def test_on_subclasses_of_arrays(shape: tuple[int, int, int]) -> None:
    x, weight = matrices(shape)
    product = times_transposed(x.view(Named), weight)
    assert np.asarray(product).tobytes() == times_transposed(x, weight).tobytes()


def test_on_tensors() -> None:
    x, weight = matrices((3, 300, 300))
    for left, right in ((tg.Tensor(x), weight), (x, tg.Tensor(weight))):
        product: Any = times_transposed(left, right)  # type: ignore[arg-type]  # by protocol
        np.testing.assert_allclose(product.numpy(), x @ weight.T)


def test_traced() -> None:
    x, weight = matrices((3, 300, 300))
    recorder = Recorder()
    product: Any = times_transposed(recorder.input("x", x), weight)  # type: ignore[arg-type]
    graph = recorder.finish(y=product)
    assert [call.function for call in graph.calls] == [times_transposed]
    np.testing.assert_array_equal(evaluate(graph, {"x": x})["y"], times_transposed(x, weight))


def test_native() -> None:
    network = tg.NeuralNetwork(
        tg.Dense(3, 300, "tanh"), tg.Dense(300, 300, "tanh"), tg.Dense(300, 1), loss=tg.MSELoss()
    )
    engine = CompiledEngine(network, tg.SGD(), StepSettings())
    data = TrainingData(np.ones((8, 3), np.float32), np.ones((8, 1), np.float32))
    engine.run_epoch(data, np.arange(8), 4, np.full(2, 0.01))
    assert engine.notes == []

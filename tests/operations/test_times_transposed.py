"""The product with a transposed matrix, by each way of computing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import (
    CompiledEngine,
    EagerEngine,
    PlannedEngine,
    StepSettings,
    TrainingData,
)
from typegrad.operations import transposed
from typegrad.operations.transposed import columns_at_once, times_transposed
from typegrad.tracing import Recorder, evaluate
from typegrad.types import Array

GENERATOR = np.random.default_rng(0)
SHAPES = [
    (1, 300, 300), (2, 300, 300), (9, 300, 300), (12, 300, 300), (13, 300, 300), (64, 300, 300),
    (65, 300, 300), (8, 20, 30), (8, 17, 5000), (2, 40, 70000), (8, 5000, 17),
    (0, 300, 300), (3, 0, 10),
]  # fmt: skip
"""Rows of x, and the shape of the weight."""


ask_numpy: Any = transposed._has_small_products.__wrapped__


@pytest.fixture(params=[True, False], autouse=True)
def has_small_products(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether BLAS is taken for one that multiplies by small transposed matrices as they lie."""
    has: bool = request.param
    monkeypatch.setattr(transposed, "_has_small_products", lambda: has)
    return has


def matrices(shape: tuple[int, int, int]) -> tuple[Array, Array]:
    rows, inputs, outputs = shape
    return GENERATOR.standard_normal((rows, outputs)), GENERATOR.standard_normal((inputs, outputs))


def test_columns_at_once(has_small_products: bool) -> None:
    found = [columns_at_once(*matrices(shape)) for shape in SHAPES]
    if has_small_products:
        assert found == [300, 300, 128, 96, 0, 0, 300, 20, 0, 0, 0, 300, 0]
    else:
        assert found == [300, 0, 0, 0, 0, 0, 300, 20, 0, 0, 0, 300, 0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_product(shape: tuple[int, int, int], dtype: Any) -> None:
    x, weight = (matrix.astype(dtype) for matrix in matrices(shape))
    product = times_transposed(x, weight)
    # Each sum of so many products is off by no more, in whichever order (Higham 2002, 3.5).
    bound = 2 * shape[2] * np.finfo(dtype).eps * (np.abs(x) @ np.abs(weight).T)
    assert np.all(np.abs(product - x @ weight.T) <= bound)
    assert product.dtype == dtype
    assert product.flags.c_contiguous


@pytest.mark.parametrize(
    ("features", "expected"),
    [(None, False), (["X86_V3"], False), (["X86_V3", "X86_V4"], True), (["AVX512_SKX"], True)],
)
def test_what_numpy_says_of_itself(
    features: list[str] | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = {} if features is None else {"found": features}  # NumPy leaves out what is empty.
    config: dict[str, Any] = {"SIMD Extensions": vectors}
    monkeypatch.setattr(np, "show_config", lambda mode: config)
    assert not ask_numpy()
    config["Build Dependencies"] = {"blas": {"name": "scipy-openblas"}}
    assert ask_numpy() is expected


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


@pytest.mark.parametrize("rows", [1, 2, 9, 12, 13, 65])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_planned_to_the_bit(rows: int, dtype: Any) -> None:
    inputs = GENERATOR.standard_normal((3 * rows, 4)).astype(dtype)
    data = TrainingData(inputs, inputs[:, :1].copy())

    def parameters_after(kind: type[EagerEngine]) -> bytes:
        network = tg.NeuralNetwork(
            tg.Dense(4, 300, "tanh"), tg.Dense(300, 300, "tanh"), tg.Dense(300, 1),
            loss=tg.MSELoss(), dtype=dtype, seed=0,
        )  # fmt: skip
        engine = kind(network, tg.SGD(), StepSettings())
        engine.run_epoch(data, np.arange(3 * rows), rows, np.full(3, 0.01))
        return network.flat.values.tobytes()

    assert parameters_after(PlannedEngine) == parameters_after(EagerEngine)


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

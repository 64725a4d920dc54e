"""Formulas traced, interpreted and planned give what NumPy gives at once, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from typegrad.engines.planned_calls import plan
from typegrad.engines.planned_memory import Arena
from typegrad.tracing import Graph, Recorder, evaluate, simplify

Formula = Callable[[Any, Any], Any]

FORMULAS: dict[str, Formula] = {
    "operators": lambda x, y: (x + 2.0) * y - x / y + -x,
    "reflected operators": lambda x, y: 1.0 - x + 2.0 / y,
    "powers": lambda x, y: x**2 + abs(x) ** 0.5 + y**-1 + x**3 + x**1 + 2.0**y,
    "negative zeros": lambda x, y: np.sum(-0.0 * np.abs(x[:1]), axis=0) * 1.0,
    "comparison": lambda x, y: np.where(x > y, x, y) * (x <= 0.5),
    "where with numbers": lambda x, y: np.where(x > 0, 1.0, y),
    "where broadcast": lambda x, y: np.where(x[:, :1] > 0, x, y),
    "where both broadcast": lambda x, y: np.where(x > 0, y[:1], x[:, :1]),
    "where of integers": lambda x, y: np.where(x > 0, np.argsort(y, axis=0), 7) * 1.5,
    "bool to float": lambda x, y: np.logical_not(x > 0).astype(x.dtype) + x,
    "matmul": lambda x, y: np.swapaxes(x, 0, 1) @ y,
    "matmul of transposed": lambda x, y: (y.T @ x).T @ y.T,
    "matmul with vectors": lambda x, y: x @ y[0] + y @ x[1],
    "outer product": lambda x, y: x[:, :1] @ y[:1],
    "batched matmul": lambda x, y: x[:, None, :] @ y[:, :, None],
    "dot": lambda x, y: np.dot(x.T, y) + np.dot(x[0], y[0]),
    "einsum": lambda x, y: np.einsum("ij,ij->i", x, y),
    "sum": lambda x, y: np.sum(x) + np.sum(y, axis=0) + x.sum(axis=1, keepdims=True),
    "sum of one": lambda x, y: np.sum(x[:, :1], axis=1) + np.sum(x[:1], axis=0)[0],
    "sum in order of columns": lambda x, y: np.sum(x.T * 3.0, axis=0) + np.sum(x.T),
    "mean": lambda x, y: np.mean(x) + np.mean(y, axis=0) + x.mean(axis=(0, 1), keepdims=True),
    "variance": lambda x, y: np.var(x, axis=0) + y.var() + np.std(x, axis=1, ddof=1)[:, None],
    "extrema": lambda x, y: np.max(x, axis=1, keepdims=True) - np.min(y) + x.max(axis=0),
    "any and all": lambda x, y: np.any(x > 0, axis=1)[:, None] * x + np.all(y < 9) * y,
    "prod": lambda x, y: np.prod(x, axis=0) * x.prod(axis=1)[:, None],
    "cumulative": lambda x, y: np.cumsum(x, axis=0) + np.cumprod(y, axis=1),
    "flip": lambda x, y: np.flip(np.cumsum(np.flip(x, axis=1), axis=1), axis=1) * y,
    "reshape": lambda x, y: np.reshape(x, (2, -1)) + y.reshape(2, 9) + x.ravel()[:9],
    "reshape of transposed": lambda x, y: np.reshape(x.T, (9, 2)) * 2.0,
    "shape": lambda x, y: np.reshape(x, np.shape(y)) * np.size(x) * np.ndim(y) * len(x),
    "axes": lambda x, y: np.transpose(x[:, None, :], (2, 0, 1)) + np.expand_dims(y, 0).T,
    "broadcast": lambda x, y: np.broadcast_to(x[0], y.shape) + y,
    "slices": lambda x, y: x[::-1, 1:] - y[:, :-1] + x[0, 0] + y[..., -1:],
    "rows by number": lambda x, y: x[[2, 0, 2]] + y[np.array([1, 1, 0])],
    "rows by traced number": lambda x, y: x[np.argsort(y[:, 0])],
    "parts": lambda x, y: np.concatenate([x, y[:, :2], 0.0 * x[:, :1]], axis=1),
    "rows together": lambda x, y: np.concatenate((x, y)),
    "stack": lambda x, y: np.stack([x, y], axis=1),
    "iteration": lambda x, y: sum(row * 2.0 for row in x) + y[0],
    "likes": lambda x, y: np.zeros_like(x) + np.ones_like(y) + np.full_like(x, 3.0) * x,
    "unknown function": lambda x, y: np.median(x, axis=0) + np.diff(y, axis=0)[0],
    "clip": lambda x, y: np.clip(x, -0.5, 0.5) + y.clip(0.0, 1.0),
    "copy": lambda x, y: np.copy(x) + +y,
    "special": lambda x, y: np.exp(x) + np.expm1(y) * np.log1p(np.abs(x)) + np.tanh(y),
    "sign": lambda x, y: np.sign(x) + np.sqrt(np.abs(y)) + np.square(x) + np.reciprocal(y),
    "column times row": lambda x, y: x[:, :1] * y[:1] + x[:, :1] + y[:1],
    "a scalar of NumPy's": lambda x, y: x * np.float32(2.0) + y,
    "ufunc with a dtype": lambda x, y: np.add(x, y, dtype=np.float64) * 1.0,
    "reduction from a start": lambda x, y: np.sum(x, axis=0, initial=2.0) + y,
    "one element": lambda x, y: x[:1, :1] * y[:1, :1] + x[0, 0] - 1.0,
    "the same twice": lambda x, y: np.tanh(x) * np.tanh(x) - np.tanh(x),
    "methods": lambda x, y: x.transpose(1, 0).swapaxes(0, 1).squeeze() + y.transpose().T,
    "comparison of integers": lambda x, y: (np.argmax(x, axis=1) == 1.0) * y[:, 0],
}


def in_place(x: Any, y: Any) -> Any:
    total = np.zeros_like(x)
    total[:, 0] = y[:, 1]
    total[1:, 1:] = 2.0
    total += x
    total **= 2
    np.multiply(total, y, out=total)
    np.add.at(total, (np.array([0, 0, 2]), np.array([1, 1, 0])), 0.5)
    np.copyto(total, total * 2.0)
    return total


FORMULAS["in place"] = in_place


def trace(formula: Formula, x: Any, y: Any) -> Graph:
    recorder = Recorder()
    result = formula(recorder.input("x", x), recorder.input("y", y))
    return recorder.finish(result=result)


def run_planned(graph: Graph, x: Any, y: Any) -> Any:
    planned = plan(graph, Arena())
    for _ in range(2):  # the second time must not find what the first left
        for name, value in (("x", x), ("y", y)):
            if name in planned.inputs:
                np.copyto(planned.inputs[name], value)
        planned.run()
    return planned.outputs["result"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name: str, dtype: Any) -> None:
    generator = np.random.default_rng(0)
    example, data = (generator.standard_normal((2, 6, 3)).astype(dtype) for _ in range(2))
    formula = FORMULAS[name]
    expected = np.asarray(formula(*data.copy()))
    graph = trace(formula, *example)
    for version in (graph, simplify(graph)):
        interpreted = evaluate(version, {"x": data[0], "y": data[1]})["result"]
        assert interpreted.dtype == expected.dtype
        assert interpreted.tobytes() == expected.tobytes()
        planned = run_planned(version, *data)
        assert planned.shape == expected.shape
        assert planned.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (7, 64)])
@pytest.mark.parametrize("name", ["operators", "comparison", "mean", "matmul", "special"])
def test_shapes(name: str, shape: tuple[int, int]) -> None:
    data = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    expected = np.asarray(FORMULAS[name](*data))
    graph = simplify(trace(FORMULAS[name], *data))
    assert run_planned(graph, *data).tobytes() == expected.tobytes()


@pytest.mark.parametrize("special", [np.nan, np.inf, -0.0, 1e-42])
@pytest.mark.parametrize("name", ["comparison", "where with numbers", "extrema", "sum", "sign"])
def test_special_values(name: str, special: float) -> None:
    data = np.random.default_rng(0).standard_normal((2, 6, 3)).astype(np.float32)
    data[0, 2, 1] = data[1, 4, 2] = data[1, 2, 1] = special
    with np.errstate(all="ignore"):
        expected = np.asarray(FORMULAS[name](*data))
        graph = simplify(trace(FORMULAS[name], *data))
        assert run_planned(graph, *data).tobytes() == expected.tobytes()

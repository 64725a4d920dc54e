"""trace: steps, shapes, values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from typegrad.autodiff import grad, trace
from typegrad.errors import StateError
from typegrad.operations import Sigmoid
from typegrad.tensor import Tensor
from typegrad.types import Array


def chain(X: Array, W: Array) -> Any:  # noqa: N803  # the book's names
    return np.sum(Sigmoid().forward(X @ W))


def test_shapes_forward_and_backward() -> None:
    text = str(trace(chain, np.ones((3, 3)), np.ones((3, 2))))
    assert text == (
        "forward\n"
        "  X                  (3, 3)\n"
        "  W                  (3, 2)\n"
        "  v1 = MatMul(X, W)  (3, 2)\n"
        "  v2 = Sigmoid(v1)   (3, 2)\n"
        "  v3 = Sum(v2)       ()\n"
        "backward\n"
        "  dv3 = 1                    ()\n"
        "  dv2 = dv3 through Sum      (3, 2)\n"
        "  dv1 = dv2 through Sigmoid  (3, 2)\n"
        "  dW = dv1 through MatMul    (3, 2)\n"
        "  dX = dv1 through MatMul    (3, 3)"
    )


def test_values() -> None:
    shown = trace(lambda x: np.sum(x * (2.0 + x)), np.array([1.0, -0.5]), values=True)
    assert repr(shown) == (
        "forward\n"
        "  x                     (2,)\n"
        "      [ 1.  -0.5]\n"
        "  v1 = Add(2, x)        (2,)\n"
        "      [3.  1.5]\n"
        "  v2 = Multiply(x, v1)  (2,)\n"
        "      [ 3.   -0.75]\n"
        "  v3 = Sum(v2)          ()\n"
        "      2.25\n"
        "backward\n"
        "  dv3 = 1                                      ()\n"
        "      1.\n"
        "  dv2 = dv3 through Sum                        (2,)\n"
        "      [1. 1.]\n"
        "  dv1 = dv2 through Multiply                   (2,)\n"
        "      [ 1.  -0.5]\n"
        "  dx = dv1 through Add + dv2 through Multiply  (2,)\n"
        "      [4. 1.]"
    )


def test_steps_have_values_and_gradients() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    steps = {step.name: step for step in trace(chain, x, w).steps}
    np.testing.assert_allclose(steps["v1"].value, x @ w)
    assert steps["v1"].inputs == ("X", "W")
    assert steps["v1"].shape == (3, 2)
    assert steps["X"].operation == ""
    expected = grad(chain, (0, 1))(x, w)
    for name, gradient in zip(("X", "W"), expected, strict=True):
        found = steps[name].gradient
        assert found is not None
        np.testing.assert_allclose(found, gradient)


def test_options_constants_and_dtypes() -> None:
    mask = np.array([True, False])

    def f(x: Array) -> Any:
        return np.sum(np.where(mask, x[0], 3.0) * np.ones(2), axis=0, keepdims=True)

    lines = str(trace(f, np.ones((2, 2), np.float32))).splitlines()
    assert lines[1:6] == [
        "  x                                           (2, 2) float32",
        "  v1 = Index(x, [0])                          (2,) float32",
        "  v2 = Where(v1, 3, condition of shape (2,))  (2,) float32",
        "  v3 = Multiply(v2, array (2,))               (2,)",
        "  v4 = Sum(v3, axis=0, keepdims=True)         (1,)",
    ]


def test_trees_keywords_and_constants_among_the_arguments() -> None:
    def f(tree: Any, count: int, *, power: int) -> Any:
        return np.sum(tree["w"][0] ** power) * count + tree["b"]

    shown = trace(f, {"w": [np.ones(2)], "b": 1.5}, np.array(3), power=3)
    assert [step.name for step in shown.steps[:2]] == ["tree['w'][0]", "tree['b']"]
    assert str(shown.steps[2]) == "v1 = ConstantPower(tree['w'][0], exponent=3)"
    assert str(shown.steps[4]) == "v3 = Multiply(v2, 3)"


def test_unused_inputs_and_several_outputs() -> None:
    shown = trace(lambda x, y: (np.sum(x), x * 2.0, 7.0), np.ones(2), np.ones(3))
    gradients = {step.name: step.gradient for step in shown.steps}
    assert gradients["y"] is None
    assert gradients["x"] is not None
    assert gradients["x"].tolist() == [3.0, 3.0]


def test_a_constant_function() -> None:
    assert str(trace(lambda x: 3.0, 1.0)) == "forward\n  x  ()\nbackward"


def test_names_where_the_function_does_not_say() -> None:
    assert [step.name for step in trace(np.multiply, 2.0, 3.0).steps] == ["x1", "x2", "v1"]
    assert [step.name for step in trace(max, 2.0, 3.0).steps] == ["x1", "x2"]
    assert trace(lambda *arrays: arrays[0] * arrays[1], 2.0, 3.0).steps[1].name == "x2"


def test_inside_of_a_recording() -> None:
    def f(x: Any) -> Any:
        assert str(trace(lambda y: y * y, x)).startswith("forward\n  y")
        return x * x

    assert float(grad(f)(3.0)) == 6.0


def test_a_recording_that_was_used_up() -> None:
    from typegrad.autodiff import draw_graph

    t = Tensor(2.0, requires_grad=True)
    y = t * t
    y.backward()
    with pytest.raises(StateError) as error:
        draw_graph(y)
    assert str(error.value) == (
        "this recording was used up by backward; "
        "call that with retain_graph=True, or look at it before"
    )

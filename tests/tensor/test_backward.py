"""Tensor.backward: sums of gradients, how often it may run, and what it keeps."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.tensor import Tensor, no_grad
from typegrad.types import Array


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def grad_of(tensor: Tensor) -> Array:
    assert tensor.grad is not None
    return tensor.grad.numpy()


def test_against_pytorch() -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    ours = [Tensor(value, requires_grad=True) for value in (x, weight, bias)]
    theirs = [torch.tensor(value, requires_grad=True) for value in (x, weight, bias)]
    hidden = np.tanh(ours[0] @ ours[1] + ours[2])
    loss: Any = np.mean(hidden[1:, 0] ** 2 / (1.0 + np.exp(hidden[1:, 1])))
    loss.backward()
    other = torch.tanh(theirs[0] @ theirs[1] + theirs[2])
    peer_loss: Any = torch.mean(other[1:, 0] ** 2 / (1.0 + torch.exp(other[1:, 1])))
    peer_loss.backward()
    for one, peer in zip(ours, theirs, strict=True):
        assert peer.grad is not None
        np.testing.assert_allclose(grad_of(one), peer.grad.numpy(), rtol=1e-12)


def test_a_value_used_twice_counts_twice() -> None:
    a = leaf(3.0)
    b = a * 2.0
    (b + b).backward()
    assert grad_of(a).tolist() == [4.0]


def test_a_value_squared_by_a_product() -> None:
    a = leaf(3.0, 4.0)
    b = a + 1.0
    np.sum(b * b * b).backward()
    assert grad_of(a).tolist() == [48.0, 75.0]


def test_the_same_argument_in_all_places() -> None:
    a = leaf(1.0, 2.0)
    joined: Any = np.concatenate([a, a, a])
    (joined * np.arange(6.0)).sum().backward()
    assert grad_of(a).tolist() == [0.0 + 2.0 + 4.0, 1.0 + 3.0 + 5.0]


def test_gradients_add_up_over_calls() -> None:
    a = leaf(1.0, 2.0)
    for _ in range(3):
        np.sum(a**2).backward()
    assert grad_of(a).tolist() == [6.0, 12.0]


def test_what_requires_no_gradient_gets_none() -> None:
    a, b = leaf(1.0), Tensor([2.0])
    product = a * b
    product.backward()
    assert b.grad is None
    assert product.grad is None


def test_backward_from_a_leaf() -> None:
    a = leaf(5.0)
    a.backward()
    assert grad_of(a).tolist() == [1.0]


def test_a_given_gradient() -> None:
    a = leaf(1.0, 2.0)
    (a * 3.0).backward([1.0, 10.0])
    assert grad_of(a).tolist() == [3.0, 30.0]


def test_a_tensor_for_a_given_gradient() -> None:
    a, direction = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a * a).backward(direction)
    assert grad_of(a).tolist() == [6.0, 16.0]
    assert a.grad is not None
    assert not a.grad.requires_grad
    a.grad = None
    (a * a).backward(direction, create_graph=True)
    a.grad.sum().backward()
    assert grad_of(direction).tolist() == [2.0, 4.0]


def test_a_gradient_is_wanted_for_many_elements() -> None:
    with pytest.raises(ShapeError) as error:
        leaf(1.0, 2.0).backward()
    assert str(error.value) == (
        "backward: the tensor has shape (2,); for more than one element give the gradient with "
        "respect to it, or sum it first"
    )


def test_a_gradient_of_another_shape() -> None:
    with pytest.raises(ShapeError) as error:
        leaf(1.0, 2.0).backward(1.0)
    assert str(error.value) == (
        "backward got a gradient of shape (); expected the tensor's shape (2,)"
    )


def test_nothing_to_differentiate() -> None:
    with pytest.raises(TypeError) as error:
        Tensor(1.0).backward()
    assert str(error.value) == (
        "backward: nothing that this tensor was computed from requires gradients; make a tensor "
        "with requires_grad=True, and compute outside no_grad()"
    )


def test_a_second_backward_is_an_error() -> None:
    a = leaf(2.0)
    y = a * a
    y.backward()
    with pytest.raises(StateError) as error:
        y.backward()
    assert str(error.value) == (
        "backward: this recording was used up by an earlier backward; "
        "call that one with retain_graph=True"
    )
    assert grad_of(a).tolist() == [4.0]


def test_a_shared_part_that_was_used_up() -> None:
    a = leaf(2.0)
    shared = a * a
    (shared * 3.0).backward()
    with pytest.raises(StateError, match="used up by an earlier backward"):
        (shared + 1.0).backward()


def test_retained() -> None:
    a = leaf(2.0)
    y = a * a
    y.backward(retain_graph=True)
    y.backward()
    assert grad_of(a).tolist() == [8.0]


def test_create_graph_gives_second_derivatives() -> None:
    a = leaf(2.0, -1.0)
    np.sum(a**4).backward(create_graph=True)
    first = a.grad
    assert first is not None
    assert first.requires_grad
    a.grad = None
    np.sum(first * np.array([1.0, 10.0])).backward()
    np.testing.assert_allclose(grad_of(a), [48.0, 120.0])


def test_without_create_graph_the_gradient_is_a_constant() -> None:
    a = leaf(2.0)
    (a**3).backward()
    assert a.grad is not None
    assert not a.grad.requires_grad


def test_no_grad() -> None:
    a = leaf(1.0)
    with no_grad():
        assert not (a * 2.0).requires_grad
        with pytest.raises(TypeError, match="compute outside no_grad"):
            (a * 2.0).backward()

    @no_grad()
    def twice(x: Tensor) -> Tensor:
        return x * 2.0

    assert not twice(a).requires_grad
    assert (a * 2.0).requires_grad


def test_no_grad_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (leaf(1.0) * 2.0).requires_grad


def test_dtypes_are_promoted_and_gradients_come_back_in_their_own() -> None:
    single = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    double = Tensor(np.ones(3), requires_grad=True)
    product = single * double
    assert product.dtype == np.float64
    np.sum(product).backward(create_graph=True)
    assert grad_of(single).dtype == np.float32
    assert grad_of(double).dtype == np.float64
    assert grad_of(double).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("number", [2, 2.5, True])
def test_python_numbers_keep_single_precision(number: float) -> None:
    t = Tensor(np.ones(2, np.float32), requires_grad=True)
    for result in (t * number, number - t, t / number, t**number, np.maximum(t, number)):
        assert result.dtype == np.float32
    assert (t * np.float64(2.0)).dtype == np.float64


def test_integer_tensors_take_part_as_constants() -> None:
    t = leaf(1.0, 2.0)
    codes = Tensor([1, 0])
    assert (codes + 1).dtype == np.int64
    np.sum(t[codes] * codes).backward()
    assert grad_of(t).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1)])
def test_shapes_at_the_edge(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.5)
    t = Tensor(x, requires_grad=True)
    total: Any = np.sum(np.exp(t) * t / (1.0 + t**2))
    total.backward()
    expected = np.exp(x) * (1 + x) / (1 + x**2) - 2 * x * np.exp(x) * x / (1 + x**2) ** 2
    np.testing.assert_allclose(grad_of(t), expected, rtol=1e-12)
    assert grad_of(t).shape == shape


def test_views_of_any_layout() -> None:
    base = np.random.default_rng(0).normal(size=(4, 6))
    for view in (base.T, base[::-1, ::-2], base[:, 1:], np.asfortranarray(base)):
        t = Tensor(view, requires_grad=True)
        total: Any = np.sum(np.sin(t) * view[0])
        total.backward()
        np.testing.assert_allclose(grad_of(t), np.cos(view) * view[0], rtol=1e-12)


def test_a_chain_of_a_hundred_thousand_operations() -> None:
    t = leaf(1.0)
    y = t
    for _ in range(100_000):
        y = y + 1e-5
    y.backward()
    assert grad_of(t).tolist() == [1.0]


def test_a_long_chain_is_freed_without_recursion() -> None:
    t = leaf(1.0)
    y = t
    for _ in range(100_000):
        y = y * 1.0
    watch = weakref.ref(y)
    del y
    gc.collect()
    assert watch() is None


def test_a_long_chain_with_create_graph() -> None:
    t = leaf(1.0)
    y = t
    for _ in range(20_000):
        y = y * 1.0001
    y.backward(create_graph=True)
    assert t.grad is not None
    del y
    t.grad = None
    gc.collect()


def test_intermediate_results_are_freed_by_backward() -> None:
    t = leaf(*np.arange(1000.0))
    middle: Any = np.exp(t * 0.001)
    watch = weakref.ref(middle)
    loss = np.sum(middle * middle)
    del middle
    was_alive = watch() is not None  # an assert would hold on to it
    loss.backward()
    assert was_alive
    assert watch() is None
    assert loss.item() > 0.0


def test_memory_goes_down_again() -> None:
    t = Tensor(np.ones(100_000), requires_grad=True)

    def step() -> None:
        y: Any = t
        for _ in range(10):
            y = np.tanh(y)
        np.sum(y).backward()
        t.grad = None

    step()
    gc.collect()
    gc.disable()  # Reference counts alone must do.
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            step()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 100_000


def test_gradients_are_computed_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    from typegrad.operations import Multiply

    asked: list[str] = []

    def left_grad(self: Any, output_grad: Any, left: Any, right: Any, y: Any) -> Any:
        asked.append("left")
        return output_grad * right

    monkeypatch.setattr(Multiply, "left_grad", left_grad)
    t = leaf(1.0)
    product: Any = np.array([2.0]) * t
    product.backward()
    assert asked == []
    assert grad_of(t).tolist() == [2.0]


def test_an_operation_that_returns_a_wrong_gradient() -> None:
    from typegrad.operations import UnaryOperation

    class Wrong(UnaryOperation):
        def __init__(self, grad: Any) -> None:
            self.grad = grad

        def output(self, x: Array) -> Array:
            return x * 2.0

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            grad: Array = self.grad
            return grad

    def backward(grad: Any) -> None:
        wrong: Any = Wrong(grad)
        result: Any = wrong.forward(leaf(1.0, 2.0))
        result.sum().backward()

    with pytest.raises(ShapeError) as error:
        backward(np.ones(3))
    assert str(error.value) == (
        "Wrong(): the gradient with respect to the input has shape (3,); "
        "expected the shape of that input, (2,)"
    )
    with pytest.raises(DTypeError) as type_error:
        backward(None)
    assert str(type_error.value) == (
        "Wrong(): the gradient with respect to the input is a NoneType; "
        "expected an array, check what the hook returns"
    )

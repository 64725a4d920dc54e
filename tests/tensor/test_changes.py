"""Arrays that are changed after they took part in a recorded formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from typegrad.tensor import Tensor
from typegrad.tensor.constants import unchangeable
from typegrad.types import Array


def test_the_array_a_tensor_was_made_from() -> None:
    data = np.array([1.0, 2.0])
    t = Tensor(data, requires_grad=True)
    y = np.sum(t * t)
    data[:] = 100.0
    y.backward()
    assert t.tolist() == [1.0, 2.0]
    assert t.grad is not None
    assert t.grad.tolist() == [2.0, 4.0]


def test_the_array_that_numpy_gives() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    for tensor in (t, t * 2.0, t.reshape(2, 1), np.sum(t), t[0]):
        array = tensor.numpy()
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 5.0
        with pytest.raises(ValueError, match="read-only"):
            array += 1.0
    copy = t.numpy().copy()
    copy[0] = 7.0
    assert t.tolist() == [1.0, 2.0]


def test_the_gradient_given_to_backward() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    gradient = np.array([1.0, 1.0])
    t.backward(gradient)
    gradient[:] = 100.0
    assert t.grad is not None
    assert t.grad.tolist() == [1.0, 1.0]


FORMULAS: dict[str, tuple[Array, Callable[[Any, Any], Any]]] = {
    "product": (np.array([2.0, 3.0]), lambda t, w: t * w),
    "product, array first": (np.array([2.0, 3.0]), lambda t, w: w * t),
    "quotient": (np.array([2.0, 3.0]), lambda t, w: w / t),
    "matrix": (np.array([[2.0, 3.0], [4.0, 5.0]]), lambda t, w: w @ t),
    "maximum": (np.array([1.5, 1.5]), np.maximum),
    "condition": (np.array([True, False]), lambda t, w: np.where(w, t * t, t)),
    "integer key": (np.array([0, 0, 1]), lambda t, w: t[w] ** 2),
    "key of two": (np.array([0, 0, 1]), lambda t, w: t[None][0, w] ** 2),
    "boolean key": (np.array([True, False]), lambda t, w: t[w] ** 2),
    "take": (np.array([1, 1]), lambda t, w: np.take(t, w) ** 2),
    "repeats": (np.array([3, 1]), lambda t, w: np.repeat(t, w) ** 2),
    "bounds": (np.array([1.5, 1.5]), lambda t, w: np.clip(t, None, w)),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("how", ["itself", "an older view", "the array it is a view of"])
def test_a_constant_of_a_formula(name: str, how: str) -> None:
    original, formula = FORMULAS[name]

    def gradient(change: bool) -> Any:
        t = Tensor([1.0, 2.0], requires_grad=True)
        base = np.stack([original, original])
        constant = base[0] if how == "the array it is a view of" else original.copy()
        target = {"itself": constant, "an older view": constant[:]}.get(how, base)
        y = np.sum(formula(t, constant))
        if change:
            target[...] = 1 - target.astype(int)
        y.backward()
        assert t.grad is not None
        return t.grad.tolist()

    assert gradient(change=True) == gradient(change=False)


def test_a_read_only_view_of_what_can_be_changed() -> None:
    base = np.array([2.0])
    t = Tensor([1.0, 1.0], requires_grad=True)
    y = np.sum(t * np.broadcast_to(base, (2,)))
    base[:] = 100.0
    y.backward()
    assert t.grad is not None
    assert t.grad.tolist() == [2.0, 2.0]


def test_what_nobody_can_change_is_not_copied() -> None:
    owner = np.arange(3.0)
    assert unchangeable(owner) is not owner
    owner.flags.writeable = False
    view = owner[1:]
    assert unchangeable(owner) is owner
    assert unchangeable(view) is view
    buffer = np.frombuffer(b"12345678")
    assert unchangeable(buffer) is buffer


def test_results_cannot_be_written_into_arrays() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    plain: Any = np.zeros(2)
    message = (
        "np.add: the result of a tensor cannot be written into an array (out=, or an operator "
        "such as += on an array); assign it to a name"
    )
    with pytest.raises(TypeError) as error:
        plain += t
    assert str(error.value) == message
    with pytest.raises(TypeError) as error:
        np.add(t, 1.0, out=plain)
    assert str(error.value) == message
    assert plain.tolist() == [0.0, 0.0]

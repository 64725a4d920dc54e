"""Tensor as an object: what it is made of, what it refuses."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

from typegrad.errors import DTypeError, ShapeError
from typegrad.tensor import Tensor
from typegrad.types import Array


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_attributes_are_those_of_the_array() -> None:
    t = Tensor(np.arange(6.0).reshape(2, 3))
    assert t.shape == (2, 3)
    assert t.dtype == np.float64
    assert (t.ndim, t.size, t.nbytes, len(t)) == (2, 6, 48, 2)
    assert t.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert t.T.shape == (3, 2)
    assert t.mT.shape == (3, 2)
    assert not t.requires_grad
    assert t.grad is None


@pytest.mark.parametrize("data", [2.5, 3, [1.0, 2.0], [[1, 2], [3, 4]], np.float32(2.0), True])
def test_data_of_many_kinds(data: Any) -> None:
    t = Tensor(data)
    np.testing.assert_array_equal(t.numpy(), np.asarray(data))
    assert t.dtype == np.asarray(data).dtype


@pytest.mark.parametrize(
    ("data", "dtype"), [("text", "<U4"), ([1j], "complex128"), ([None], "object")]
)
def test_what_is_no_real_number_is_refused(data: Any, dtype: str) -> None:
    with pytest.raises(DTypeError) as error:
        Tensor(data)
    assert str(error.value) == (
        f"Tensor: the data has dtype {dtype}; expected float32, float64, integers or booleans"
    )


def test_integers_require_no_gradients() -> None:
    with pytest.raises(DTypeError, match="data of dtype int64 has no gradient") as error:
        Tensor([1, 2], requires_grad=True)
    assert str(error.value) == (
        "Tensor: data of dtype int64 has no gradient; "
        "give floating-point numbers, or leave requires_grad out"
    )


def test_a_tensor_is_no_data() -> None:
    with pytest.raises(TypeError, match=r"for a copy of its own use \.detach\(\)"):
        Tensor(leaf(1.0))


METHODS: dict[str, Any] = {
    "sum": lambda x: x.sum(axis=0),
    "prod": lambda x: x.prod(axis=1, keepdims=True),
    "mean": lambda x: x.mean(),
    "var": lambda x: x.var(axis=0, ddof=1),
    "std": lambda x: x.std(axis=0),
    "max": lambda x: x.max(axis=1),
    "min": lambda x: x.min(),
    "argmax": lambda x: x.argmax(axis=1),
    "argmin": lambda x: x.argmin(),
    "cumsum": lambda x: x.cumsum(axis=0),
    "cumprod": lambda x: x.cumprod(),
    "reshape": lambda x: x.reshape(3, 2),
    "reshape to a tuple": lambda x: x.reshape((3, -1)),
    "ravel": lambda x: x.ravel(),
    "flatten": lambda x: x.flatten(),
    "transpose": lambda x: x.transpose(),
    "transpose, axes": lambda x: x.transpose(1, 0),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "squeeze": lambda x: x.reshape(1, 2, 3).squeeze(axis=0),
    "repeat": lambda x: x.repeat(2, axis=0),
    "take": lambda x: x.take([1, 0], axis=1),
    "clip": lambda x: x.clip(1.0, 4.0),
    "dot": lambda x: x.dot(np.ones(3)),
    "trace": lambda x: x.trace(),
    "diagonal": lambda x: x.diagonal(),
    "copy": lambda x: x.copy(),
    "astype": lambda x: x.astype(np.float32),
    "astype, integers": lambda x: x.astype(int),
    "all": lambda x: x.all(axis=0),
    "any": lambda x: x.any(),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_arrays(name: str) -> None:
    x = np.arange(6.0).reshape(2, 3) + 0.5
    ours = METHODS[name](Tensor(x, requires_grad=True))
    theirs = METHODS[name](x)
    if type(ours) is Tensor:
        assert ours.requires_grad == (ours.dtype.kind == "f")
        ours = ours.numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-15)
    assert ours.dtype == theirs.dtype


def test_comparisons_are_plain_arrays() -> None:
    t, x = leaf(1.0, 2.0, 3.0), np.array([1.0, 2.0, 3.0])
    for ours, theirs in (
        (t < 2.0, x < 2.0),
        (t <= 2.0, x <= 2.0),
        (t > t + 1.0, x > x + 1.0),
        (t >= x[::-1], x >= x[::-1]),
        (t == [1.0, 0.0, 3.0], x == [1.0, 0.0, 3.0]),
        (x != t, x != x[::1]),
        (t != x[::-1], x != x[::-1]),
    ):
        assert type(ours) is np.ndarray
        np.testing.assert_array_equal(ours, theirs)


def test_a_tensor_is_not_hashable_like_an_array() -> None:
    with pytest.raises(TypeError, match="unhashable type: 'Tensor'"):
        hash(leaf(1.0))


def test_keys_of_a_tensor_without_axes() -> None:
    t = Tensor(2.0, requires_grad=True)
    assert t[()].shape == t[...].shape == ()
    assert t[None].tolist() == [2.0]
    t[None, ...].sum().backward()
    assert t.grad is not None
    assert t.grad.item() == 1.0


def test_truth_of_one_element() -> None:
    assert leaf(1.0)
    assert not Tensor(0.0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(leaf(1.0, 2.0))


def test_numbers() -> None:
    assert float(Tensor(2.5)) == 2.5
    assert int(Tensor([7])) == 7
    assert [10, 20, 30][Tensor(1)] == 20
    assert leaf(2.5).item() == 2.5
    assert type(leaf(2.5).item()) is float
    assert f"{leaf(2.5):.3f}" == "2.500"


@pytest.mark.parametrize("convert", [float, math.sin, math.exp])
def test_a_number_would_lose_the_gradient(convert: Any) -> None:
    with pytest.raises(TypeError) as error:
        convert(leaf(0.5))
    assert str(error.value) == (
        "float() of a tensor that requires gradients would lose them; use NumPy's functions "
        "instead of math's, or .item() for a plain number"
    )


def test_an_integer_would_lose_the_gradient() -> None:
    with pytest.raises(TypeError, match=r"^int\(\) of a tensor that requires gradients"):
        int(leaf(0.5))


def test_only_whole_numbers_are_indices() -> None:
    with pytest.raises(TypeError) as error:
        range(leaf(2.0))
    assert str(error.value) == ("a float64 tensor of shape (1,) cannot be an index or a count")


def test_item_wants_one_element() -> None:
    with pytest.raises(ShapeError) as error:
        leaf(1.0, 2.0).item()
    assert str(error.value) == "item: the tensor has shape (2,); expected one element"


def test_length_and_iteration() -> None:
    first, second = leaf(1.0, 2.0)
    assert (first.item(), second.item()) == (1.0, 2.0)
    with pytest.raises(TypeError, match=r"^len\(\) of a tensor without axes$"):
        list(Tensor(1.0))


def test_elements_cannot_be_set() -> None:
    t = leaf(1.0, 2.0)
    with pytest.raises(TypeError) as error:
        t[0] = 3.0
    assert str(error.value) == (
        "a Tensor's elements cannot be changed; choose between old and new values with np.where, "
        "or put parts together with np.concatenate or np.stack"
    )


def test_augmented_assignment_makes_a_new_tensor() -> None:
    t = before = leaf(1.0, 2.0)
    t += 1.0
    t *= t
    assert before.tolist() == [1.0, 2.0]
    assert t.tolist() == [4.0, 9.0]
    np.sum(t).backward()
    assert before.grad is not None
    assert before.grad.tolist() == [4.0, 6.0]


def test_no_way_to_an_array_but_numpy() -> None:
    t = leaf(1.0, 2.0)
    message = (
        "a Tensor does not turn into an array by itself: use .numpy() for its values, "
        "or np.stack([...]) instead of np.array([...]) for an array of tensors"
    )
    attempts: list[Any] = [
        lambda: np.asarray(t),
        lambda: np.array(t),
        lambda: np.array([t, t]),
        lambda: np.array([t[0], t[1]]),
        lambda: np.ones(2).__setitem__(slice(None), t),
        lambda: np.testing.assert_allclose(t, t),
        lambda: np.random.default_rng(0).choice(t),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError) as error:
            attempt()
        assert message in str(error.value)


def test_an_element_of_an_array_cannot_be_set_to_a_tensor() -> None:
    plain: Array = np.zeros(2)
    with pytest.raises((TypeError, ValueError)):
        plain[0] = Tensor(1.0, requires_grad=True) * 2.0
    assert plain.tolist() == [0.0, 0.0]


def test_texts() -> None:
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(leaf(1.0)) == "Tensor([1.], requires_grad=True)"
    assert repr(Tensor(np.float32(2.0))) == "Tensor(2., dtype=float32)"
    assert repr(Tensor(np.eye(2))) == "Tensor([[1., 0.],\n        [0., 1.]])"
    assert f"{Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"


def test_copies_of_a_leaf() -> None:
    t = leaf(1.0, 2.0)
    for other in (copy.copy(t), copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
        assert other.requires_grad
        assert other.tolist() == [1.0, 2.0]
        np.sum(other).backward()
    assert t.grad is None


def test_a_recording_is_not_copied() -> None:
    with pytest.raises(TypeError) as error:
        copy.copy(leaf(1.0) * 2.0)
    assert str(error.value) == (
        "a tensor that was computed from others cannot be copied or pickled with its recording; "
        "use .detach() first"
    )


def test_detached() -> None:
    t = leaf(1.0, 2.0)
    assert not t.detach().requires_grad
    assert t.detach().tolist() == [1.0, 2.0]
    (t * t.detach()).sum().backward()
    assert t.grad is not None
    assert t.grad.tolist() == [1.0, 2.0]


def test_grad_can_only_be_taken_away() -> None:
    t = leaf(1.0)
    t.sum().backward()
    t.grad = None
    assert t.grad is None
    with pytest.raises(TypeError) as error:
        setattr(t, "grad", 1.0)  # noqa: B010  # checkers know it is wrong
    assert str(error.value) == "a tensor's grad can only be set to None; got a float"

"""Parameter and FlatParameters: views into two contiguous buffers."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.errors import ShapeError, StateError
from typegrad.initializers import Normal, Zeros

FLOAT64: np.dtype[np.float64] = np.dtype(np.float64)


def three() -> tuple[list[tg.Parameter], tg.FlatParameters]:
    parameters = [
        tg.Parameter((2, 3), Normal()),
        tg.Parameter((3,), Zeros(), decay=False),
        tg.Parameter((), Zeros()),
    ]
    return parameters, tg.FlatParameters(parameters, FLOAT64)


def test_values_and_gradients_are_views_into_one_contiguous_buffer_each() -> None:
    parameters, flat = three()
    for buffer in (flat.values, flat.grads, flat.decay_mask):
        assert buffer.shape == (10,)
        assert buffer.dtype == np.float64
        assert buffer.flags.c_contiguous
    assert not np.shares_memory(flat.values, flat.grads)
    for parameter in parameters:
        assert np.shares_memory(parameter.value, flat.values)
        assert np.shares_memory(parameter.grad, flat.grads)
    flat.values[:] = np.arange(10.0)
    flat.grads[:] = -np.arange(10.0)
    np.testing.assert_array_equal(parameters[0].value, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(parameters[1].value, [6, 7, 8])
    assert parameters[2].value == 9
    np.testing.assert_array_equal(parameters[1].grad, [-6, -7, -8])
    parameters[0].value[1, 0] = 30.0
    assert flat.values[3] == 30.0


def test_decay_mask_is_one_where_weight_decay_applies() -> None:
    _, flat = three()
    np.testing.assert_array_equal(flat.decay_mask, [1, 1, 1, 1, 1, 1, 0, 0, 0, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_buffers_have_the_dtype_asked_for(dtype: type) -> None:
    parameter = tg.Parameter((2,), Zeros())
    flat = tg.FlatParameters([parameter], np.dtype(dtype))
    assert flat.values.dtype == flat.grads.dtype == flat.decay_mask.dtype == dtype
    assert parameter.value.dtype == parameter.grad.dtype == dtype


def test_no_parameters() -> None:
    assert tg.FlatParameters([], FLOAT64).values.shape == (0,)


def test_size_and_text() -> None:
    assert [parameter.size for parameter in three()[0]] == [6, 3, 1]
    assert str(three()[0][1]) == "Parameter(shape=(3,), decay=False)"


@pytest.mark.parametrize("shape", [(2, 2.5), (2, -1), (2, "3"), (2, True), (2, None)])
def test_lengths_are_whole_numbers(shape: Any) -> None:
    message = f"Parameter: shape[1] is {shape[1]!r}; expected a whole number of 0 or more"
    with pytest.raises(ValueError, match=re.escape(message) + "$"):
        tg.Parameter(shape, Zeros())


def test_numpys_whole_numbers_are_lengths() -> None:
    shape: Any = (np.int64(2), np.uint8(3))
    assert str(tg.Parameter(shape, Zeros()).shape) == "(2, 3)"


def test_a_parameter_has_no_memory_before_it_is_bound() -> None:
    parameter = tg.Parameter((2, 3), Zeros())
    assert not parameter.is_bound
    for what, name in (("value", "value"), ("gradient", "grad")):
        message = (
            f"this parameter of shape (2, 3) has no {what} yet: "
            "it gets one when a NeuralNetwork is built from its layer"
        )
        with pytest.raises(StateError, match=re.escape(message) + "$"):
            getattr(parameter, name)
    parameter.bind(np.zeros((2, 3)), np.zeros((2, 3)))
    assert parameter.is_bound


@pytest.mark.parametrize(("value", "grad"), [((3, 2), (2, 3)), ((2, 3), (6,))])
def test_binding_wants_the_parameters_shape(value: tuple[int, ...], grad: tuple[int, ...]) -> None:
    parameter = tg.Parameter((2, 3), Zeros())
    message = f"a parameter of shape (2, 3) cannot be bound to arrays of shapes {value} and {grad}"
    with pytest.raises(ShapeError, match=re.escape(message) + "$"):
        parameter.bind(np.zeros(value), np.zeros(grad))
    assert not parameter.is_bound


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_views_of_their_own_buffers(duplicate: object) -> None:
    assert callable(duplicate)
    original, flat = three()
    flat.values[:] = np.arange(10.0)
    parameters, copied = duplicate((original, flat))
    np.testing.assert_array_equal(copied.values, flat.values)
    copied.values[:] = 5.0
    copied.grads[:] = 6.0
    np.testing.assert_array_equal(parameters[0].value, np.full((2, 3), 5.0))
    np.testing.assert_array_equal(parameters[1].grad, np.full(3, 6.0))
    np.testing.assert_array_equal(original[0].value, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(copied.decay_mask, flat.decay_mask)

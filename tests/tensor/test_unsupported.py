"""What cannot be recorded says so, and what to do instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from typegrad.errors import NumericalError, ShapeError
from typegrad.tensor import Tensor

T = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
ADVICE = (
    " does not work on tensors; write it with functions that do, pass the values alone with "
    ".numpy(), or give it a derivative of its own in a subclass of Operation"
)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: np.median(T), "np.median"),
        (lambda: np.linalg.eigh(T), "np.linalg.eigh"),
        (lambda: np.fft.fft(T), "np.fft.fft"),
        (lambda: np.mod(T, 2.0), "np.remainder"),
        (lambda: np.ones((2, 2)) // T, "np.floor_divide"),
        (lambda: np.bitwise_and(T, 1), "np.bitwise_and"),
        (lambda: np.cbrt(T), "np.cbrt"),
    ],
)
def test_unsupported_functions(call: Any, name: str) -> None:
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value) == name + ADVICE


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: np.add.reduce(T),
            "np.add.reduce does not work on tensors; "
            "use a function such as np.sum, np.prod, np.max or np.cumsum",
        ),
        (
            lambda: np.add.at(np.zeros(2), [0], T[0]),
            "np.add.at does not work on tensors; "
            "use a function such as np.sum, np.prod, np.max or np.cumsum",
        ),
        (
            lambda: np.exp(T, where=np.array([True, False])),
            "np.exp: where= does not work on tensors; "
            "use np.where to choose elements, and .astype() for another dtype",
        ),
        (
            lambda: np.multiply(T, 2.0, dtype=np.float32, casting="same_kind"),
            "np.multiply: dtype, casting= does not work on tensors; "
            "use np.where to choose elements, and .astype() for another dtype",
        ),
        (
            lambda: np.sum(T, where=np.array([True, False])),
            "np.sum on tensors: got an unexpected keyword argument 'where'; "
            "it takes (a, axis=None, *, keepdims=False)",
        ),
        (
            lambda: np.concatenate([T, T], dtype=np.float32),
            "np.concatenate on tensors: got an unexpected keyword argument 'dtype'; "
            "it takes (arrays, axis=0)",
        ),
        (
            lambda: np.reshape(T, (4,), order="F"),
            "np.reshape on tensors: order is 'F'; expected 'C'",
        ),
        (
            lambda: np.pad(T, 1, mode="edge"),
            "np.pad on tensors: mode is 'edge'; expected 'constant'",
        ),
        (
            lambda: np.linalg.norm(T, 2),
            "np.linalg.norm on tensors: the matrix norm ord=2 has no derivative here; "
            "use ord='fro' or None, or a vector norm over one axis",
        ),
        (
            lambda: np.einsum(T, [0, 1], [0]),
            "np.einsum on tensors: the first argument is not a string; "
            "write the subscripts as in np.einsum('ij,jk->ik', a, b)",
        ),
        (
            lambda: T + np.ma.masked_array([1.0, 2.0]),
            "a masked array cannot be combined with a Tensor, which has no mask; "
            "use .filled(value) or np.where",
        ),
        (
            lambda: T * "text",
            "a str cannot be combined with a Tensor; expected a number or an array of real numbers",
        ),
        (
            lambda: T * np.array([1j, 2j]),
            "a ndarray cannot be combined with a Tensor; "
            "expected a number or an array of real numbers",
        ),
        (
            lambda: T * None,
            "a NoneType cannot be combined with a Tensor; "
            "expected a number or an array of real numbers",
        ),
    ],
)
def test_unsupported_arguments(call: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: T + np.ones(3),
            "Add(): left has shape (2, 2) and right has shape (3,); they must be equal, "
            "or equal or 1 in each axis counted from the last",
        ),
        (
            lambda: T @ np.ones((3, 2)),
            "MatMul(): left has shape (2, 2) and right has shape (3, 2); the last axis of left "
            "(2) must equal the last but one of right (3)",
        ),
        (
            lambda: T @ np.ones(3),
            "MatMul(): left has shape (2, 2) and right has shape (3,); the last axis of left "
            "(2) must equal the first of right (3)",
        ),
        (
            lambda: 2.0 @ T,
            "MatMul(): left has shape () and right has shape (2, 2); both need two axes or "
            "more, a vector v becomes a column by v[:, None]",
        ),
        (
            lambda: T.reshape(3, 2),
            "Reshape(shape=(3, 2)): an input of shape (2, 2) with 4 elements does not fit that "
            "shape",
        ),
        (
            lambda: np.concatenate([T, np.ones((2, 3))]),
            "Concatenate(axis=0): the inputs have shapes (2, 2), (2, 3); expected equal lengths "
            "on all axes but 0",
        ),
        (
            lambda: np.sum(T, axis=2),
            "Sum(axis=2, keepdims=False): an input of shape (2, 2) does not have that axis",
        ),
    ],
)
def test_shapes_that_do_not_fit(call: Any, message: str) -> None:
    with pytest.raises(ShapeError) as error:
        call()
    assert str(error.value) == message


def test_numerical_problems_name_the_operation() -> None:
    with pytest.raises(NumericalError, match=r"^Inverse\(\): a matrix is singular$"):
        np.linalg.inv(Tensor(np.zeros((2, 2)), requires_grad=True))


def test_an_error_from_numpy_that_is_none_of_shapes() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        T[5]


def test_subclasses_of_arrays_take_part_as_arrays() -> None:
    class Special(np.ndarray[Any, Any]):
        pass

    special = np.array([1.0, 2.0]).view(Special)
    result = T * special
    assert result.tolist() == [[1.0, 4.0], [3.0, 8.0]]


def test_lists_take_part_as_arrays() -> None:
    numbers: Any = [1.0, 2.0]
    assert (T - numbers).tolist() == [[0.0, 0.0], [2.0, 2.0]]
    assert (numbers * T).tolist() == [[1.0, 4.0], [3.0, 8.0]]

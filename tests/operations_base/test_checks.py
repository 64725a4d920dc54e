"""What Operation.forward and backward refuse, and how they say it."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import typegrad as tg
from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.operations.broadcasting import sum_to_shape
from typegrad.types import Array, Shape


def exactly(message: str) -> str:
    return re.escape(message) + "$"


class Double(tg.ElementwiseOperation):
    def output(self, x: Array) -> Array:
        return x * 2.0

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 2.0


def pickled(operation: Double) -> Double:
    again: Double = pickle.loads(pickle.dumps(operation))
    return again


class Scripted(tg.ElementwiseOperation):
    """Returns from its hooks whatever it was told to."""

    def __init__(self, output: Callable[[Array], Any], input_grad: Callable[[Array], Any]) -> None:
        self.make_output = output
        self.make_grad = input_grad

    def output(self, x: Array) -> Array:
        result: Array = self.make_output(x)
        return result

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        result: Array = self.make_grad(output_grad)
        return result


X32 = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [1.0, 2.0],
            "Double(): the input is a list; expected an array, such as "
            "np.asarray(value, dtype=float) gives",
        ),
        (
            1.5,
            "Double(): the input is a float; expected an array, such as "
            "np.asarray(value, dtype=float) gives",
        ),
        (
            np.array([1, 2]),
            "Double(): the input has dtype int64; expected float32 or float64, "
            "convert it with .astype()",
        ),
        (
            np.ones(2, np.float16),
            "Double(): the input has dtype float16; expected float32 or float64, "
            "convert it with .astype()",
        ),
        (
            np.ones(2, complex),
            "Double(): the input has dtype complex128; expected float32 or float64, "
            "convert it with .astype()",
        ),
        (
            np.array([True]),
            "Double(): the input has dtype bool; expected float32 or float64, "
            "convert it with .astype()",
        ),
    ],
)
def test_forward_refuses_what_is_no_floating_array(given: Any, message: str) -> None:
    with pytest.raises(DTypeError, match=exactly(message)):
        Double().forward(given)


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        (
            lambda x: x[:1],
            ShapeError,
            "Scripted().output returned shape (1, 3); expected (2, 3) for inputs of shapes (2, 3)",
        ),
        (
            lambda x: x * np.float64(2.0),
            DTypeError,
            "Scripted(): the output is float64 but the inputs are float32; write constants as "
            "Python floats, since NumPy float64 scalars turn float32 arrays into float64",
        ),
        (
            lambda x: None,
            DTypeError,
            "Scripted(): the output is a NoneType; expected an array, check what the hook returns",
        ),
        (
            lambda x: [1.0, 2.0],
            DTypeError,
            "Scripted(): the output is a list; expected an array, check what the hook returns",
        ),
    ],
)
def test_forward_checks_what_the_output_hook_returns(
    output: Callable[[Array], Any], error: type[Exception], message: str
) -> None:
    operation = Scripted(output, lambda grad: grad)
    with pytest.raises(error, match=exactly(message)):
        operation.forward(X32)


@pytest.mark.parametrize(
    ("input_grad", "error", "message"),
    [
        (
            lambda grad: grad.T,
            ShapeError,
            "Scripted(): the gradient with respect to the input has shape (3, 2); "
            "expected the shape of that input, (2, 3)",
        ),
        (
            lambda grad: grad * np.float64(2.0),
            DTypeError,
            "Scripted(): the gradient with respect to the input is float64 but the inputs are "
            "float32; write constants as Python floats, since NumPy float64 scalars turn "
            "float32 arrays into float64",
        ),
        (
            lambda grad: None,
            DTypeError,
            "Scripted(): the gradient with respect to the input is a NoneType; "
            "expected an array, check what the hook returns",
        ),
    ],
)
def test_backward_checks_what_the_gradient_hook_returns(
    input_grad: Callable[[Array], Any], error: type[Exception], message: str
) -> None:
    operation = Scripted(lambda x: x, input_grad)
    operation.forward(X32)
    with pytest.raises(error, match=exactly(message)):
        operation.backward(X32)


@pytest.mark.parametrize(
    ("output_grad", "error", "message"),
    [
        (
            np.ones((3, 2), np.float32),
            ShapeError,
            "Double().backward got output_grad of shape (3, 2); expected the output's shape (2, 3)",
        ),
        (
            np.ones(3, np.float32),
            ShapeError,
            "Double().backward got output_grad of shape (3,); expected the output's shape (2, 3)",
        ),
        (
            np.ones((2, 3)),
            DTypeError,
            "Double().backward got output_grad of dtype float64; expected the output's float32, "
            "convert it with .astype()",
        ),
        (
            1.0,
            DTypeError,
            "Double(): output_grad is a float; expected an array, such as "
            "np.asarray(value, dtype=float) gives",
        ),
        (
            np.ones((2, 3), int),
            DTypeError,
            "Double(): output_grad has dtype int64; expected float32 or float64, "
            "convert it with .astype()",
        ),
    ],
)
def test_backward_checks_output_grad(
    output_grad: Any, error: type[Exception], message: str
) -> None:
    operation = Double()
    operation.forward(X32)
    with pytest.raises(error, match=exactly(message)):
        operation.backward(output_grad)


def test_backward_before_forward() -> None:
    with pytest.raises(StateError, match=exactly("Double().backward was called before forward")):
        Double().backward(X32)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_starts_before_forward(duplicate: Callable[[Double], Double]) -> None:
    operation = Double()
    operation.forward(X32)
    with pytest.raises(StateError):
        duplicate(operation).backward(X32)
    operation.backward(X32)


def test_a_failed_forward_leaves_the_last_one_in_place() -> None:
    operation = Double()
    operation.forward(X32)
    with pytest.raises(DTypeError):
        operation.forward(np.ones((4, 4), int))
    assert operation.backward(X32).shape == (2, 3)


def test_instances_do_not_share_what_they_saved() -> None:
    first, second = Double(), Double()
    first.forward(X32)
    with pytest.raises(StateError):
        second.backward(X32)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (tg.Add(), "Add(): left is float32 but right is float64; convert one with .astype()"),
        (tg.MatMul(), "MatMul(): left is float32 but right is float64; convert one with .astype()"),
    ],
)
def test_mixed_dtypes(operation: tg.BinaryOperation, message: str) -> None:
    with pytest.raises(DTypeError, match=exactly(message)):
        operation.forward(np.ones((2, 2), np.float32), np.ones((2, 2)))


def test_output_shape_is_checked_before_anything_is_computed() -> None:
    class Never(tg.UnaryOperation):
        def output_shape(self, *input_shapes: Shape) -> Shape | None:
            raise ShapeError("no such shape")

        def output(self, x: Array) -> Array:
            raise AssertionError("computed")

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            raise AssertionError("computed")

    with pytest.raises(ShapeError, match=exactly("no such shape")):
        Never().forward(X32)


def test_results_without_axes_are_arrays_in_both_directions() -> None:
    operation = Double()
    output = operation.forward(np.array(3.0, np.float32))
    grad = operation.backward(np.array(1.0, np.float32))
    assert isinstance(output, np.ndarray)
    assert isinstance(grad, np.ndarray)
    assert output.dtype == grad.dtype == np.float32
    assert (float(output), float(grad)) == (6.0, 2.0)


class Outer(tg.BinaryOperation):
    """Product of two arrays with broadcasting, whose left gradient is scripted."""

    broadcasts: ClassVar[bool] = True

    def __init__(self, left_grad: Callable[[Array], Array]) -> None:
        self.make_left_grad = left_grad

    def output(self, left: Array, right: Array) -> Array:
        return left * right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return self.make_left_grad(output_grad * right)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * left


@pytest.mark.parametrize(
    ("wrong", "shape"), [(np.transpose, (3, 2)), (np.ravel, (6,)), (lambda grad: grad[0], (3,))]
)
def test_a_broadcasting_operation_reports_gradients_of_wrong_shape(
    wrong: Callable[[Array], Array], shape: Shape
) -> None:
    operation = Outer(wrong)
    operation.forward(np.ones((2, 3)), np.ones((2, 3)))
    message = (
        f"Outer(): the gradient with respect to left has shape {shape}; "
        "expected the shape of that input, (2, 3)"
    )
    with pytest.raises(ShapeError, match=exactly(message)):
        operation.backward(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2, 3), (3,)),
        ((2, 3), (2, 1)),
        ((2, 3), (1, 3)),
        ((2, 3), (1, 1)),
        ((2, 3), ()),
        ((3,), (4, 1)),
        ((2, 1, 3), (4, 1)),
        ((1,), (5, 4, 1)),
        ((0, 3), (3,)),
        ((1, 3), (0, 3)),
    ],
)
def test_gradients_are_summed_over_broadcast_axes(left: Shape, right: Shape) -> None:
    rng = np.random.default_rng(0)
    a, b = np.asarray(rng.standard_normal(left)), np.asarray(rng.standard_normal(right))
    operation = Outer(lambda grad: grad)
    shape: Shape = operation.forward(a, b).shape
    output_grad = np.asarray(rng.standard_normal(shape))
    a_grad, b_grad = operation.backward(output_grad)
    # Element by element, over all pairs that broadcasting brings together.
    expected_a, expected_b = np.zeros(left), np.zeros(right)
    a_place = np.broadcast_to(np.arange(a.size).reshape(left), output_grad.shape)
    b_place = np.broadcast_to(np.arange(b.size).reshape(right), output_grad.shape)
    for index in np.ndindex(output_grad.shape):
        i, j = a_place[index], b_place[index]
        expected_a.flat[i] += output_grad[index] * b.flat[j]
        expected_b.flat[j] += output_grad[index] * a.flat[i]
    np.testing.assert_allclose(a_grad, expected_a, rtol=1e-13)
    np.testing.assert_allclose(b_grad, expected_b, rtol=1e-13)
    assert (a_grad.shape, b_grad.shape) == (left, right)


def test_sum_to_shape_leaves_what_does_not_fit() -> None:
    grad = np.ones((2, 3))
    assert sum_to_shape(grad, (3, 2)).shape == (2, 3)
    assert sum_to_shape(grad, (1, 2, 3)).shape == (2, 3)


def test_arrays_that_record_take_over() -> None:
    class Recorder:
        @classmethod
        def __apply_operation__(cls, operation: tg.Operation, inputs: tuple[Any, ...]) -> Any:
            return operation, len(inputs)

    recorder: Any = Recorder()
    add = tg.Add()
    recorded: Any = add.forward(np.ones(2), recorder)
    assert recorded == (add, 2)


class TestObserveOperations:
    def seen_in(
        self, operation: tg.UnaryOperation | tg.ParameterOperation[Array, Array], x: Array
    ) -> list[tuple[str, str, int, Shape]]:
        seen: list[tuple[str, str, int, Shape]] = []

        def observer(
            operation: tg.Operation, direction: str, inputs: tuple[Array, ...], result: Array
        ) -> None:
            seen.append((str(operation), direction, len(inputs), result.shape))

        with tg.observe_operations(observer):
            y = operation.forward(x)
            operation.backward(np.ones_like(y))
        operation.forward(x)
        return seen

    def test_sees_forward_and_backward_inside_the_block_only(self) -> None:
        assert self.seen_in(Double(), X32) == [
            ("Double()", "forward", 1, (2, 3)),
            ("Double()", "backward", 1, (2, 3)),
        ]

    def test_sees_the_gradients_of_parameters(self) -> None:
        weight, bias = (
            tg.Parameter((3, 4), tg.initializers.Zeros()),
            tg.Parameter((4,), tg.initializers.Zeros()),
        )
        tg.FlatParameters([weight, bias], np.dtype(np.float32))
        assert self.seen_in(tg.Linear(weight, bias), X32) == [
            ("Linear()", "forward", 3, (2, 4)),
            ("Linear()", "backward", 1, (3, 4)),
            ("Linear()", "backward", 1, (4,)),
            ("Linear()", "backward", 1, (2, 3)),
        ]

    def test_an_inner_block_replaces_the_outer_one_until_it_ends(self) -> None:
        seen: list[str] = []
        with tg.observe_operations(lambda *_: seen.append("outer")):
            with tg.observe_operations(lambda *_: seen.append("inner")):
                Double().forward(X32)
            Double().forward(X32)
        assert seen == ["inner", "outer"]

    def test_an_error_inside_ends_the_observation(self) -> None:
        seen: list[str] = []

        def fail() -> None:
            with tg.observe_operations(lambda *_: seen.append("seen")):
                raise ValueError("stop")

        with pytest.raises(ValueError, match="stop"):
            fail()
        Double().forward(X32)
        assert seen == []


def test_operations_have_readable_names() -> None:
    assert str(Double()) == "Double()"


@pytest.mark.parametrize("base", [tg.UnaryOperation, tg.BinaryOperation, tg.NaryOperation])
def test_hooks_must_be_written(base: Any) -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (base,), {})()


def test_nary_needs_an_input() -> None:
    class Total(tg.NaryOperation):
        def output(self, *inputs: Array) -> Array:
            return inputs[0]

        def input_grad(
            self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
        ) -> Array:
            return output_grad

    message = "Total().forward needs at least one input; it got none"
    with pytest.raises(ShapeError, match=exactly(message)):
        Total().forward()

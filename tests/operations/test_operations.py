"""Every operation of the table: values, gradients, peers, dtypes and memory layouts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad.operations
from typegrad.errors import DTypeError, ShapeError, StateError
from typegrad.operations import (
    BinaryOperation,
    NaryOperation,
    Operation,
    ParameterOperation,
    UnaryOperation,
)
from typegrad.types import Array

from .checks import Call, assert_close, assert_derivative, forward, peer_jax, peer_torch, weights
from .row import Bad, Inputs, Kink, Row
from .table import ROWS

each_row = pytest.mark.parametrize("row", ROWS, ids=str)
each_sample = pytest.mark.parametrize(
    ("row", "inputs"),
    [
        pytest.param(row, inputs, id=f"{row}-{'-'.join(str(x.shape) for x in inputs)}")
        for row in ROWS
        for inputs in row.samples
    ],
)
each_torch_sample = pytest.mark.parametrize(
    ("row", "inputs"),
    [
        pytest.param(row, inputs, id=f"{row}-{'-'.join(str(x.shape) for x in inputs)}")
        for row in ROWS
        if row.torch is not None
        for inputs in row.samples
    ],
)
each_jax_row = pytest.mark.parametrize("row", [row for row in ROWS if row.jax is not None], ids=str)
each_row_of_several = pytest.mark.parametrize(
    "row", [row for row in ROWS if len(row.samples[0]) > 1], ids=str
)
each_kink = pytest.mark.parametrize(
    ("row", "kink"), [pytest.param(row, kink, id=str(row)) for row in ROWS for kink in row.kinks]
)


def test_every_operation_has_a_row() -> None:
    exported = {
        item
        for name in typegrad.operations.__all__
        if inspect.isclass(item := getattr(typegrad.operations, name))
        and issubclass(item, Operation)
        and not inspect.isabstract(item)
    }
    assert exported <= {type(Call(row, row.samples[0]).operation) for row in ROWS}


WITH_AXES = {
    *("Cholesky", "Cofactors", "Concatenate", "Cumprod", "Cumsum", "Determinant", "Diagonal"),
    *("DiagonalMatrix", "Dot", "Inverse", "Linear", "LogDeterminant", "LookupColumns", "MatMul"),
    *("Normalize", "NormalizeWith", "Softmax", "Solve", "Sort", "Swapaxes", "Take"),
    *("TakeAlongAxis", "Trace", "Tril", "Triu", "WeightMultiply"),
}
"""Operations whose inputs have axes."""


def test_every_operation_has_samples_without_elements_and_without_axes() -> None:
    samples: dict[str, list[Array]] = {}
    for row in ROWS:
        name = type(Call(row, row.samples[0]).operation).__name__
        arrays = [x for inputs in row.samples for x in inputs]
        arrays += [x for kink in row.kinks for x in kink.inputs]
        samples.setdefault(name, []).extend(arrays)
    assert [name for name, arrays in samples.items() if all(x.size for x in arrays)] == []
    without = {name for name, arrays in samples.items() if all(x.ndim for x in arrays)}
    assert without == WITH_AXES


def test_names_of_rows_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@each_sample
def test_value_equals_the_reference(row: Row, inputs: Inputs) -> None:
    output = Call(row, inputs).output
    assert type(output) is np.ndarray
    expected = np.asarray(row.value(*inputs))
    size = float(np.max(np.abs(expected), initial=0.0))
    assert_close(output, expected, rtol=2e-14, atol=5e-15 * size)


@each_sample
def test_gradient_equals_central_differences(row: Row, inputs: Inputs) -> None:
    assert_derivative(row, inputs)


@each_torch_sample
def test_gradient_equals_pytorchs(row: Row, inputs: Inputs) -> None:
    compare_with(peer_torch, row.torch, row, inputs)


@each_jax_row
def test_gradient_equals_jaxs(row: Row) -> None:
    compare_with(peer_jax, row.jax, row, row.samples[0])


@pytest.mark.slow  # each shape costs JAX a compilation
@each_jax_row
def test_gradient_equals_jaxs_at_every_sample(row: Row) -> None:
    for inputs in row.samples[1:]:
        compare_with(peer_jax, row.jax, row, inputs)


def compare_with(
    peer: Callable[..., Any], f: Callable[..., Any] | None, row: Row, inputs: Inputs
) -> None:
    call = Call(row, inputs)
    value, grads = peer(f, inputs)
    assert_close(call.output, value, rtol=1e-12, atol=1e-14)
    mine = call.gradients(weights(call.output))
    assert len(mine) == len(grads)
    for actual, expected in zip(mine, grads, strict=True):
        assert type(actual) is np.ndarray
        assert_close(actual, expected, rtol=1e-12, atol=2e-14)


@each_kink
def test_gradient_at_a_kink(row: Row, kink: Kink) -> None:
    with np.errstate(all="ignore"):
        call = Call(row, kink.inputs)
        grads = call.gradients(np.ones_like(call.output))
    assert len(grads) == len(kink.grads)
    for actual, expected in zip(grads, kink.grads, strict=True):
        assert_close(actual, expected, rtol=1e-12, atol=1e-14)


@each_kink
def test_gradient_at_a_kink_agrees_with_whom_the_row_names(row: Row, kink: Kink) -> None:
    with np.errstate(all="ignore"):
        call = Call(row, kink.inputs)
        mine = call.gradients(weights(call.output))
    for peer, f, run in (("torch", row.torch, peer_torch), ("jax", row.jax, peer_jax)):
        if f is None:
            assert peer not in kink.agrees
            continue
        _, grads = run(f, kink.inputs)
        agrees = all(
            np.allclose(a, b, rtol=1e-12, atol=1e-14, equal_nan=True)
            for a, b in zip(mine, grads, strict=True)
        )
        assert agrees == (peer in kink.agrees)


@each_sample
def test_float32_stays_float32(row: Row, inputs: Inputs) -> None:
    double = Call(row, inputs)
    single = Call(row, tuple(x.astype(np.float32) for x in inputs))
    weight = weights(double.output)
    grads = single.gradients(weight.astype(single.output.dtype))
    assert single.output.dtype == (np.float32 if row.keeps_dtype else np.float64)
    assert all(grad.dtype == np.float32 for grad in grads)
    pairs = zip((single.output, *grads), (double.output, *double.gradients(weight)), strict=True)
    for actual, expected in pairs:
        size = float(np.max(np.abs(expected), initial=0.0))
        assert_close(actual, expected, rtol=0, atol=row.single_tolerance * (size + 1e-3))


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "fortran": lambda x: np.array(x, order="F"),
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "broadcast": lambda x: np.stack([x, x], axis=-1)[..., 1],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@each_row
def test_memory_layout_does_not_matter(row: Row, layout: Callable[[Array], Array]) -> None:
    for inputs in row.samples:
        plain, other = Call(row, inputs), Call(row, tuple(map(layout, inputs)))
        weight = weights(plain.output)
        assert_close(other.output, plain.output, rtol=1e-13, atol=1e-15)
        pairs = zip(other.gradients(layout(weight)), plain.gradients(weight), strict=True)
        for actual, expected in pairs:
            assert_close(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=str(r)) for r in ROWS for bad in r.bad])
def test_bad_inputs_are_refused(bad: Bad) -> None:
    with pytest.raises(bad.error) as caught:
        forward(bad.make(), bad.inputs)
    assert str(caught.value) == bad.message


def first_operand(operation: Operation) -> str:
    if isinstance(operation, UnaryOperation | ParameterOperation):
        return "the input"
    return "left" if isinstance(operation, BinaryOperation) else "input 0"


def second_operand(operation: Operation) -> str:
    if isinstance(operation, BinaryOperation):
        return "right"
    return "input 1" if isinstance(operation, NaryOperation) else "parameter 0"


@each_row
def test_other_dtypes_are_refused(row: Row) -> None:
    call = Call(row, row.samples[0])
    arguments = call.inputs[:1] if row.parameters else call.inputs
    name = f"{call.operation}: {first_operand(call.operation)}"
    with pytest.raises(DTypeError) as caught:
        forward(call.operation, (arguments[0].astype(np.int64), *arguments[1:]))
    assert str(caught.value) == (
        f"{name} has dtype int64; expected float32 or float64, convert it with .astype()"
    )
    listed: Any = [1.0]
    with pytest.raises(DTypeError) as caught:
        forward(call.operation, (listed, *arguments[1:]))
    assert str(caught.value) == (
        f"{name} is a list; expected an array, such as np.asarray(value, dtype=float) gives"
    )


@each_row_of_several
def test_mixed_dtypes_are_refused(row: Row) -> None:
    call = Call(row, row.samples[0])
    single = call.inputs[0].astype(np.float32)
    arguments = (single,) if row.parameters else (single, *call.inputs[1:])
    with pytest.raises(DTypeError) as caught:
        forward(call.operation, arguments)
    assert str(caught.value) == (
        f"{call.operation}: {first_operand(call.operation)} is float32 but "
        f"{second_operand(call.operation)} is float64; "
        "convert one with .astype()"
    )


@each_row
def test_backward_checks_what_it_gets(row: Row) -> None:
    call = Call(row, row.samples[0])
    wrong = np.ones((*call.output.shape, 7))
    with pytest.raises(ShapeError) as caught:
        call.gradients(wrong)
    assert str(caught.value) == (
        f"{call.operation}.backward got output_grad of shape {wrong.shape}; "
        f"expected the output's shape {call.output.shape}"
    )


@each_row
def test_backward_needs_forward(row: Row) -> None:
    used = Call(row, row.samples[0])
    fresh: Any = (
        row.make(*used.operation.parameters)
        if isinstance(used.operation, ParameterOperation)
        else row.make()
    )
    with pytest.raises(StateError) as caught:
        fresh.backward(used.output)
    assert str(caught.value) == f"{fresh}.backward was called before forward"

"""Generated shapes, axes, keys and subscripts: a few by default, many under the `slow` marker."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from typegrad.operations import (
    BroadcastTo,
    Concatenate,
    Cumprod,
    Cumsum,
    Diagonal,
    Dot,
    Einsum,
    ExpandDims,
    Flip,
    Index,
    LogSumExp,
    MatMul,
    Max,
    Mean,
    Min,
    Norm,
    Operation,
    Pad,
    Prod,
    Repeat,
    Reshape,
    Roll,
    Sort,
    Stack,
    Std,
    Sum,
    Tile,
    Trace,
    Transpose,
    Var,
)
from typegrad.types import Array, Shape

from .checks import Call, assert_close, assert_derivative
from .row import Draw, Inputs, Row, between, spaced
from .table import ROWS

Property = Callable[[st.DataObject], None]

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)
SMOOTH = between(-2, 2)
NO_TIES = spaced(0.03)


def values(data: st.DataObject, draw: Draw, shape: Shape) -> Array:
    """Numbers of the operation's domain."""
    return draw(shape, np.random.default_rng(data.draw(st.integers(0, 999), label="seed")))


def check(operation: Operation, inputs: Inputs, expected: Any) -> None:
    """Value against NumPy's, gradients against central differences."""
    row = Row(str(operation), lambda: operation, [inputs], lambda *_: expected)
    assert_close(Call(row, inputs).output, expected, rtol=1e-13, atol=1e-13)
    assert_derivative(row, inputs)


def elements(row: Row, data: st.DataObject) -> None:
    """An element-wise row of the table, at a drawn shape."""
    x = values(data, row.draws[0], data.draw(SHAPES))
    assert_close(Call(row, (x,)).output, row.value(x), rtol=1e-13, atol=1e-14)
    assert_derivative(row, (x,))


def broadcast(row: Row, data: st.DataObject) -> None:
    """A row of two operands, at drawn shapes that broadcast."""
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3))
    inputs = tuple(
        values(data, draw, shape)
        for draw, shape in zip(row.draws, shapes.input_shapes, strict=True)
    )
    assert_close(Call(row, inputs).output, row.value(*inputs), rtol=1e-13, atol=1e-14)
    assert_derivative(row, inputs)


def reduction(make: Any, draw: Draw, value: Callable[..., Any], data: st.DataObject) -> None:
    """A reduction over drawn axes."""
    shape = data.draw(FULL_SHAPES)
    axis = data.draw(
        st.none()
        | st.integers(-len(shape), len(shape) - 1)
        | hnp.valid_tuple_axes(len(shape), min_size=1)
    )
    keepdims = data.draw(st.booleans())
    x = values(data, draw, shape)
    check(make(axis, keepdims), (x,), value(x, axis=axis, keepdims=keepdims))


def log_sum_exp(x: Array, **options: Any) -> Any:
    return np.log(np.sum(np.exp(x), **options))


def largest_size(x: Array, **options: Any) -> Any:
    return np.max(np.abs(x), **options)


def along(make: Any, draw: Draw, value: Callable[..., Any], data: st.DataObject) -> None:
    """An operation along one drawn axis."""
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = values(data, draw, shape)
    check(make(axis), (x,), value(x, axis=axis))


def basic_key(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    x = values(data, SMOOTH, shape)
    check(Index(key), (x,), x[key])


def integer_key(data: st.DataObject) -> None:
    shape = data.draw(FULL_SHAPES)
    count = data.draw(st.integers(1, len(shape)))
    key = data.draw(hnp.integer_array_indices(shape[:count]))
    x = values(data, SMOOTH, shape)
    check(Index(key), (x,), x[key])


def mask_key(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    count = data.draw(st.integers(0, len(shape)))
    key = data.draw(hnp.arrays(np.bool_, shape[:count]))
    x = values(data, SMOOTH, shape)
    check(Index(key), (x,), x[key])


def matrix_product(data: st.DataObject) -> None:
    shapes = data.draw(
        hnp.mutually_broadcastable_shapes(
            signature="(n,k),(k,m)->(n,m)", min_side=0, max_side=3, max_dims=2
        )
    )
    left, right = (values(data, SMOOTH, shape) for shape in shapes.input_shapes)
    check(MatMul(), (left, right), np.matmul(left, right))


def dot(data: st.DataObject) -> None:
    left = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    right = list(data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    right[max(len(right) - 2, 0)] = left[-1]
    a, b = values(data, SMOOTH, left), values(data, SMOOTH, tuple(right))
    check(Dot(), (a, b), np.dot(a, b))


def einsum(data: st.DataObject) -> None:
    lengths = {letter: data.draw(st.integers(0, 3)) for letter in "abcd"}
    terms = data.draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    output = "".join(data.draw(st.permutations(letters))[: data.draw(st.integers(0, 3))])
    inputs = tuple(
        values(data, SMOOTH, tuple(lengths[letter] for letter in term)) for term in terms
    )
    subscripts = f"{','.join(terms)}->{output}"
    check(Einsum(subscripts), inputs, np.einsum(subscripts, *inputs))


def rearrangement(data: st.DataObject) -> None:
    """One of the operations that only put elements elsewhere."""
    shape = data.draw(FULL_SHAPES)
    ndim = len(shape)
    axis = data.draw(st.integers(-ndim, ndim - 1))
    number = data.draw(st.integers(0, 3))
    order = tuple(data.draw(st.permutations(range(ndim))))
    counts = tuple(data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=ndim + 1)))
    pairs = tuple(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape)
    each = tuple(data.draw(st.integers(0, 2)) for _ in range(shape[axis]))
    x = values(data, SMOOTH, shape)
    choices: list[tuple[Operation, Any]] = [
        (Transpose(order), np.transpose(x, order)),
        (Reshape((-1, shape[axis])), x.reshape(-1, shape[axis])),
        (Reshape(shape[::-1]), x.reshape(shape[::-1])),
        (BroadcastTo((number, *shape)), np.broadcast_to(x, (number, *shape))),
        (ExpandDims(axis), np.expand_dims(x, axis)),
        (Flip(axis), np.flip(x, axis)),
        (Roll(number - 1, axis), np.roll(x, number - 1, axis)),
        (Roll(number - 1), np.roll(x, number - 1)),
        (Repeat(number, axis), np.repeat(x, number, axis)),
        (Repeat(each, axis), np.repeat(x, each, axis)),
        (Tile(counts), np.tile(x, counts)),
        (Pad(pairs, 0.5), np.pad(x, pairs, constant_values=0.5)),
    ]
    check(*data.draw(st.sampled_from([(made, (x,), value) for made, value in choices])))


def joining(data: st.DataObject) -> None:
    shape = data.draw(FULL_SHAPES)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, 3))
    parts = tuple(values(data, SMOOTH, shape) for _ in range(count))
    check(Stack(axis), parts, np.stack(parts, axis))
    place = axis % len(shape)
    lengths = [data.draw(st.integers(0, 3)) for _ in range(count)]
    parts = tuple(
        values(data, SMOOTH, (*shape[:place], length, *shape[place + 1 :])) for length in lengths
    )
    check(Concatenate(axis), parts, np.concatenate(parts, axis))


def diagonal(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4))
    first, second = data.draw(st.permutations(range(len(shape))))[:2]
    offset = data.draw(st.integers(-2, 2))
    x = values(data, SMOOTH, shape)
    expected = np.diagonal(x, offset, first, second)
    check(Diagonal(offset, first, second), (x,), expected)
    check(Trace(offset, first, second - len(shape)), (x,), expected.sum(-1))


PROPERTIES: dict[str, Property] = {
    **{str(row): partial(elements, row) for row in ROWS if len(row.draws) == 1},
    **{str(row): partial(broadcast, row) for row in ROWS if len(row.draws) == 2},
    "Sum": partial(reduction, Sum, SMOOTH, np.sum),
    "Mean": partial(reduction, Mean, SMOOTH, np.mean),
    "Prod": partial(reduction, Prod, SMOOTH, np.prod),
    "Max": partial(reduction, Max, NO_TIES, np.max),
    "Min": partial(reduction, Min, NO_TIES, np.min),
    "LogSumExp": partial(reduction, LogSumExp, SMOOTH, log_sum_exp),
    "Var": partial(reduction, Var, SMOOTH, np.var),
    "Std": partial(reduction, Std, NO_TIES, np.std),
    "Norm-2": partial(reduction, Norm, between(0.5, 2), np.linalg.vector_norm),
    "Norm-inf": partial(reduction, partial(Norm, ord=math.inf), NO_TIES, largest_size),
    "Cumsum": partial(along, Cumsum, SMOOTH, np.cumsum),
    "Cumprod": partial(along, Cumprod, SMOOTH, np.cumprod),
    "Sort": partial(along, Sort, NO_TIES, np.sort),
    "Index-basic": basic_key,
    "Index-integers": integer_key,
    "Index-mask": mask_key,
    "MatMul": matrix_product,
    "Dot": dot,
    "Einsum": einsum,
    "rearrangement": rearrangement,
    "joining": joining,
    "diagonal": diagonal,
}

each_property = pytest.mark.parametrize("prop", PROPERTIES.values(), ids=PROPERTIES.keys())
deterministic = partial(
    settings,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@each_property
@deterministic(max_examples=6)
@given(data=st.data())
def test_generated_inputs(prop: Property, data: st.DataObject) -> None:
    prop(data)


@pytest.mark.slow
@each_property
@deterministic(max_examples=200)
@given(data=st.data())
def test_many_generated_inputs(prop: Property, data: st.DataObject) -> None:
    prop(data)

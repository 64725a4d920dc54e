"""How each kind of call in a graph is lowered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from typegrad.engines.compiled.elementwise import C_NAMES
from typegrad.engines.compiled.fusion import Pending, Value
from typegrad.engines.compiled.graph_facts import (
    axes_of,
    is_random,
    is_same,
    is_sum_of_one,
    known_number,
    name_of,
    width_of,
)
from typegrad.engines.compiled.indexing import lower_codes, lower_getitem, lower_scattered_sum
from typegrad.engines.compiled.layout import padded
from typegrad.engines.compiled.program import Operand
from typegrad.engines.compiled.schedule import Place, Step, Total
from typegrad.tracing import Call, Leaf
from typegrad.tracing.primitives import Ufunc

if TYPE_CHECKING:
    from typegrad.engines.compiled.lowering import StepLowering

Handler: TypeAlias = Callable[["StepLowering", Call], Value]

ELEMENTWISE: Mapping[str, str] = {
    "true_divide": "divide",
    **{
        name: name
        for name in (
            "divide", "add", "subtract", "multiply", "maximum", "minimum", "greater",
            "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and",
            "logical_or", "logical_not", "negative", "absolute", "sqrt", "square", "reciprocal",
            "sign", "floor", "exp", "expm1", "log", "log1p", "log2", "log10",
            "logaddexp", "tanh", "sin", "cos", *C_NAMES,
        )
    },
}  # fmt: skip
"""Ufuncs, and the functions that chains have for them."""

OF_BOOLEANS: Mapping[str, str] = {
    "bitwise_and": "logical_and", "bitwise_or": "logical_or", "invert": "logical_not",
}  # fmt: skip
"""Ufuncs that chains have for booleans alone."""

POWERS: Mapping[float | None, str] = {
    -2.0: "inverse_square", -1.0: "reciprocal", -0.5: "inverse_root", 0.5: "sqrt",
    1.0: "copy", 2.0: "square", 3.0: "cube", 4.0: "fourth_power",
}  # fmt: skip


WIDEST_PATTERN = 64
"""Columns up to which sums up to each column are worth a product with a matrix."""


def elementwise_function(call: Call) -> tuple[str, tuple[Any, ...]] | None:
    """Return the chain's function for an element-wise call, and what it is applied to."""
    function = call.function
    if call.keywords:
        return None
    if name_of(call) == "power":
        known = POWERS.get(known_number(call.arguments[1]))
        return (known, call.arguments[:1]) if known else ("power", call.arguments)
    if isinstance(function, Ufunc) and function.method == "__call__":
        table = {**ELEMENTWISE, **OF_BOOLEANS} if call.dtype == np.bool_ else ELEMENTWISE
        name = table.get(function.ufunc.__name__)
    else:
        name = "where" if name_of(call) == "where" else None
    return None if name is None else (name, call.arguments)


def handler_for(call: Call) -> Handler | None:
    """Return what lowers a call; None if nothing does."""
    if isinstance(call.function, Ufunc):
        if call.function.method == "reduce":
            return lower_reduction
        if call.function.method == "accumulate":
            return lower_accumulation if call.function.ufunc is np.add else None
        if call.function.ufunc.__name__ == "matmul":
            return lower_product
    if name_of(call) == "where" and _draws_mask(call):
        return lower_mask
    if elementwise_function(call) is not None:
        return lower_elementwise
    return _BY_NAME.get(name_of(call))


def _draws_mask(call: Call) -> bool:
    condition = call.arguments[0]
    return isinstance(condition, Call) and is_random(condition) and len(condition.arguments) == 2


def lower_elementwise(lowering: StepLowering, call: Call) -> Value:
    """Note a function of elements; some additions are left to what made their operands."""
    found = elementwise_function(call)
    assert found is not None
    function, arguments = found
    if function == "add":
        joined = _join_bias(lowering, call) or _join_sums(lowering, call)
        if joined is not None:
            return joined
    return lowering.elementwise(function, call, arguments)


def _join_bias(lowering: StepLowering, call: Call) -> Place | None:
    """Let a product's sums begin with the bias, if the sum is all that reads it."""
    product, bias = call.arguments
    if not (isinstance(product, Call) and isinstance(bias, Leaf)):
        return None
    out, row = lowering.value(product, call), lowering.value(bias, call)
    while isinstance(product, Call) and is_same(product):
        product = product.arguments[0]
    if not (isinstance(out, Place) and isinstance(row, Place) and row.form == "row"):
        return None
    assert isinstance(row.memory, Operand)
    if row.width != out.width or lowering.readers[id(product)] != {id(call)}:
        return None
    made_last = lowering.schedule.steps[-1:]
    # Its sums may begin with another row already.
    if not made_last or made_last[0].outputs[0] is not out or made_last[0].start != lowering.zeros:
        return None
    made_last[0].start = row.memory
    return out


def _join_sums(lowering: StepLowering, call: Call) -> Place | None:
    """Let what sums over examples add to the same sum, if both are parts of one gradient."""
    if id(call) not in lowering.joined_sums:
        return None
    one, other = (lowering.value(part, call) for part in call.arguments)
    if not (isinstance(one, Place) and isinstance(other, Place)):
        return None
    if not (isinstance(one.memory, Total) and isinstance(other.memory, Total)):
        return None
    if not one.lies_as(other):
        return None
    other.memory.part_of = one.memory
    return one


def lower_mask(lowering: StepLowering, call: Call) -> Place:
    """Draw a random mask: a number where it is kept, else zero."""
    condition, dropped, kept = call.arguments
    uniform, rate = condition.arguments
    rate_value, kept_value = known_number(rate), known_number(kept)
    is_tile = call.shape[:1] == (lowering.layout.batch,) and len(call.shape) == 2
    if known_number(dropped) != 0.0 or kept_value is None or rate_value is None or not is_tile:
        raise lowering.no_kernel(call)
    out = lowering.new_place(width_of(call))
    threshold = math.ceil(rate_value * 2.0**53)
    lowering.emit(
        Step(
            "mask", (out,), (lowering.number(kept_value),), out.width,
            numbers=(len(lowering.result.masks), threshold),
        )
    )  # fmt: skip
    lowering.result.masks.append(uniform.function.path)
    return out


def lower_product(lowering: StepLowering, call: Call) -> Value:
    """Lower a matrix product: with a weight, its transpose, or of two tiles over examples."""
    if any(len(argument.shape) != 2 for argument in call.arguments):
        raise lowering.no_kernel(call)
    left, right = (lowering.place(argument, call) for argument in call.arguments)
    if name_of(call) == "times_transposed":
        right = replace(right, transposed=not right.transposed)
    is_rows = left.form in ("tile", "column")
    if is_rows and left.transposed and right.form in ("tile", "column"):
        return _weight_gradient(lowering, left, right)
    if not is_rows or left.transposed or right.form not in ("row", "matrix"):
        raise lowering.no_kernel(call)
    left = lowering.packed(left)
    width = width_of(call)
    lowering.result.multiply_adds += left.width * width
    if right.form == "matrix":
        return _product_with_matrix(lowering, left, right, width)
    if width > 1 or left.width == 1:
        # The weight is one row: each example's number times it.
        return lowering.pend(call, "multiply", width, left, replace(right, transposed=False))
    out = lowering.new_place(1)
    weight = replace(right, transposed=False)
    lowering.emit(Step("row_dots", (out,), (left, weight), left.width, start=lowering.zeros))
    return out


def _product_with_matrix(lowering: StepLowering, left: Place, right: Place, width: int) -> Place:
    out = lowering.new_place(width)
    columns = padded(width, lowering.lanes)
    if not right.transposed:
        step = Step("product", (out,), (left, right), columns, numbers=(right.rows, left.stride, 1))
        step.start = lowering.zeros
    elif right.width >= lowering.layout.transposed_below:
        weight = replace(right, transposed=False)
        numbers = (right.rows,)
        step = Step("product_transposed", (out,), (left, weight), right.width, numbers=numbers)
    else:
        copy = lowering.transposed_matrix(right)
        step = Step("product", (out,), (left, copy), columns, numbers=(right.width, left.stride, 1))
        step.start = lowering.zeros
    lowering.emit(step)
    return out


def _weight_gradient(lowering: StepLowering, left: Place, right: Place) -> Place:
    """Sum over the examples of left^T right."""
    left, right = lowering.packed(left), lowering.packed(right)
    lowering.result.multiply_adds += left.width * right.width
    if right.width == 1:
        left, right = right, left
    columns = padded(right.width, lowering.lanes)
    total = Place("sum", Total(columns), right.width, left.width)
    lowering.emit(
        Step(
            "product", (total,), (left, right), columns, left.width,
            numbers=(-1, 1, left.stride), accumulates=True,
        )
    )  # fmt: skip
    return total


def lower_reduction(lowering: StepLowering, call: Call) -> Value:
    """Lower sums over examples, and sums and maxima along rows."""
    name = name_of(call).removesuffix(".reduce")
    axes = axes_of(call)
    source = lowering.value(call.arguments[0], call)
    if not source.is_of_examples:
        raise lowering.no_kernel(call)
    rank = len(call.arguments[0].shape)
    if not call.keywords.keys() <= {"axis", "keepdims"}:
        raise lowering.no_kernel(call)
    if name == "add" and axes == (0,):
        if lowering.is_read_inside(call) and id(call) not in lowering.joined_sums:
            return _row_of_sums(lowering, source, lowering.width(call))
        return _sum_over_examples(lowering, source)
    along_rows = axes == tuple(range(1, rank))
    if not along_rows or name not in ("add", "maximum"):
        raise lowering.no_kernel(call)
    if is_sum_of_one(call):
        return source
    place = lowering.force(source)
    out = lowering.new_place(1)
    kernel = "row_sums" if name == "add" else "row_maxima"
    lowering.emit(Step(kernel, (out,), (place,), place.width))
    return out


def _sum_over_examples(lowering: StepLowering, source: Value) -> Place:
    columns = padded(source.width, lowering.lanes)
    total = Place("sum", Total(columns), source.width)
    if source.width == 1:
        # At the end: what single columns need runs in one chain, if it can wait.
        lowering.late_totals.append((total, source))
        return total
    place = lowering.force(source)
    lowering.emit(Step("column_sums", (total,), (place,), columns, accumulates=True))
    return total


def _row_of_sums(lowering: StepLowering, source: Value, width: int) -> Place:
    """Sum over all examples of a batch, for what they have to do with: each tile's, then these."""
    place = lowering.packed(lowering.force(source))
    columns = padded(width, lowering.lanes)
    kernel = "total" if width == 1 else "column_sums"
    part, row = lowering.new_place(columns), lowering.new_row(width)
    lowering.emit(Step(kernel, (part,), (place,), columns, start=lowering.zeros))
    lowering.emit_joint(Step("column_sums", (row,), (part,), columns, start=lowering.zeros))
    lowering.result.takes_whole_batch = True
    return row


def lower_reshape(lowering: StepLowering, call: Call) -> Value:
    """Lower what changes neither the numbers nor their order."""
    source = lowering.value(call.arguments[0], call)
    # A number is the weight that all examples share. A sum over examples must be a row, since
    # rows of a matrix have gaps between them.
    is_same = isinstance(source, Place) and (
        source.form == "number" or (source.form == "sum" and source.rows == 1)
    )
    if lowering.is_beside_examples(call):
        is_same = is_same or (source.is_row and source.width == lowering.width(call))
    elif not is_same and source.is_of_examples:
        is_same = source.width == width_of(call)
    if is_same:
        return source
    raise lowering.no_kernel(call)


def lower_conversion(lowering: StepLowering, call: Call) -> Value:
    """Lower astype: to integers, which only name rows of tables; else nothing changes."""
    return lower_codes(lowering, call) if call.dtype == np.intp else lower_reshape(lowering, call)


def lower_transposition(lowering: StepLowering, call: Call) -> Value:
    """Lower swapaxes and transpose of two axes."""
    source, *order = call.arguments
    place = lowering.place(source, call)
    if len(call.shape) != 2 or call.keywords or order not in _EXCHANGES:
        raise lowering.no_kernel(call)
    return replace(place, transposed=not place.transposed)


def lower_accumulation(lowering: StepLowering, call: Call) -> Value:
    """Lower sums up to each column of the last axis: a product with a triangle of ones."""
    source, *axis = call.arguments
    axes = axis or [call.keywords.get("axis", 0)]
    return _times_pattern(lowering, call, source, axes[0], np.triu)


def lower_flip(lowering: StepLowering, call: Call) -> Value:
    """Lower the reversal of the last axis: a product with a permutation."""
    axis = call.keywords.get("axis")
    return _times_pattern(
        lowering, call, call.arguments[0], axis, lambda ones: np.eye(len(ones))[::-1]
    )


def _times_pattern(
    lowering: StepLowering, call: Call, source: Any, axis: Any, pattern: Callable[[Any], Any]
) -> Value:
    """Multiply each part of a row, along the last axis, by a square matrix of 0 and 1.

    Infinity times 0 makes such a step fail; the other engines then take it.
    """
    length, width = call.shape[-1], width_of(call)
    is_last = isinstance(axis, int) and axis % len(call.shape) == len(call.shape) - 1
    is_rows = call.shape[:1] == (lowering.layout.batch,) and len(call.shape) > 1
    if not (is_last and is_rows and 0 < width <= WIDEST_PATTERN) or len(call.keywords) > 1:
        raise lowering.no_kernel(call)
    place = lowering.place(source, call)
    if not place.is_of_examples:
        raise lowering.no_kernel(call)
    if width == 1:
        return place
    operand, memory = lowering.constants.room(width, width)
    memory[...] = np.kron(np.eye(width // length), pattern(np.ones((length, length))))
    matrix = Place("matrix", operand, width, width)
    return _product_with_matrix(lowering, lowering.packed(place), matrix, width)


def lower_concatenation(lowering: StepLowering, call: Call) -> Value:
    """Lower np.concatenate along the columns."""
    parts = [lowering.place(part, call) for part in call.arguments[0]]
    if axes_of(call) != (len(call.shape) - 1,) or width_of(call) != call.shape[-1]:
        raise lowering.no_kernel(call)
    if not all(part.is_of_examples for part in parts):
        raise lowering.no_kernel(call)
    starts = [sum(part.width for part in parts[:i]) for i in range(len(parts))]
    # What is copied is whole vectors: a row needs room for what the last one has too much.
    lanes = lowering.lanes
    ends = [start + padded(part.width, lanes) for start, part in zip(starts, parts, strict=True)]
    out = lowering.new_place(width_of(call), stride=padded(max(ends), lanes))
    # In this order and in one phase: each copy writes over what the one before wrote too much.
    phase = max(lowering.ready(part) for part in parts)
    for start, part in zip(starts, parts, strict=True):
        target = replace(out, width=part.width, offset=start * lowering.itemsize)
        lowering.copy(part, target, phase)
    return out


def lower_clip(lowering: StepLowering, call: Call) -> Value:
    """Lower np.clip between numbers; None is no limit, nor is infinity."""
    source, *limits = call.arguments
    if len(limits) != 2 or call.keywords:
        raise lowering.no_kernel(call)
    # As NumPy does it: where the limits cross, the upper one holds.
    named = zip(("maximum", "minimum"), limits, (-math.inf, math.inf), strict=True)
    given = [(name, limit) for name, limit, none in named if limit is not None and limit != none]
    if not given:
        return lowering.elementwise("copy", call, (source,))
    (function, limit), *others = given
    first = lowering.elementwise(function, call, (source, limit))
    if not others:
        return first
    assert isinstance(first, Pending)
    inner = replace(first, readers=frozenset({id(call)}))
    function, limit = others[0]
    return lowering.pend(call, function, first.width, inner, lowering.value(limit, call))


def lower_fill(lowering: StepLowering, call: Call) -> Value:
    """Lower arrays of one number."""
    number = known_number(call.arguments[1])
    if number is None:
        raise lowering.no_kernel(call)
    return lowering.number(number)


_EXCHANGES: tuple[list[object], ...] = ([], [0, 1], [1, 0], [-1, -2], [-2, -1], [(1, 0)])
"""Arguments with which swapaxes and transpose exchange two axes."""

_BY_NAME: dict[str, Handler] = {
    "times_transposed": lower_product,
    "reshape": lower_reshape,
    "astype": lower_conversion,
    "swapaxes": lower_transposition,
    "transpose": lower_transposition,
    "getitem": lower_getitem,
    "add_at": lower_scattered_sum,
    "concatenate": lower_concatenation,
    "fill": lower_fill,
    "clip": lower_clip,
    "flip": lower_flip,
}

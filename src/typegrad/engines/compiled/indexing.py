"""How indexing is lowered: slices and columns of tiles, rows of tables by number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typegrad.engines.compiled.fusion import Value
from typegrad.engines.compiled.graph_facts import known_number, width_of
from typegrad.engines.compiled.layout import padded
from typegrad.engines.compiled.program import Operand
from typegrad.engines.compiled.schedule import Form, Place, Step, Total
from typegrad.tracing import Call, Leaf, Node

if TYPE_CHECKING:
    from typegrad.engines.compiled.lowering import StepLowering


def lower_getitem(lowering: StepLowering, call: Call) -> Value:
    """Lower slices of columns, columns by number, added axes, and rows of a table by codes."""
    source, index = call.arguments
    if len(index) == 1 and isinstance(index[0], Node):
        return _lookup(lowering, call, source, index[0])
    key = [part for part in index if part is not Ellipsis]
    if key[:1] != [slice(None)] or source.shape[:1] != (lowering.layout.batch,):
        raise lowering.no_kernel(call)
    value = lowering.value(source, call)
    chosen = [part for part in key[1:] if part is not None]
    if all(_is_slice(part) and part == slice(None) for part in chosen):
        return value
    # What is taken of the last axis lies side by side, if the others have one element.
    is_last = len(chosen) == len(source.shape) - 1 and width_of(source) == source.shape[-1]
    place = lowering.force(value)
    if not is_last or not place.is_of_examples or width_of(call) == 0:
        raise lowering.no_kernel(call)
    last = chosen[-1]
    if isinstance(last, Leaf) and len(chosen) == 1:
        return _columns(lowering, call, place, last)
    if type(last) is int and len(chosen) == 1:
        last = slice(last % place.width, last % place.width + 1)
    if not all(_is_slice(part) for part in (*chosen[:-1], last)):
        raise lowering.no_kernel(call)
    start, stop, _ = last.indices(place.width)
    if width_of(call) != stop - start:
        raise lowering.no_kernel(call)
    form: Form = "column" if stop - start == 1 else "tile"
    offset = place.offset + start * lowering.itemsize
    return replace(place, form=form, width=stop - start, offset=offset)


def _is_slice(part: object) -> bool:
    """Whether a part of a key takes what lies side by side."""
    return isinstance(part, slice) and part.step in (None, 1)


def _columns(lowering: StepLowering, call: Call, place: Place, numbers: Leaf) -> Place:
    """Take columns by number."""
    array = numbers.array
    if array is None or numbers.kind != "constant" or array.ndim != 1 or array.dtype.kind != "i":
        raise lowering.no_kernel(call)
    lowering.constants.watch(array)
    chosen = tuple(int(number) % place.width for number in array)
    out = lowering.new_place(len(chosen))
    lowering.emit(Step("take_columns", (out,), (place,), len(chosen), numbers=chosen))
    return out


def lower_codes(lowering: StepLowering, call: Call) -> Value:
    """Lower the conversion of a tile to integers."""
    place = lowering.place(call.arguments[0], call)
    if not place.is_of_examples:
        raise lowering.no_kernel(call)
    return replace(place, form="codes")


def _lookup(lowering: StepLowering, call: Call, source: Any, index: Node) -> Value:
    """Take a table's rows by their numbers."""
    codes, table = lowering.value(index, call), lowering.value(source, call)
    if not (isinstance(codes, Place) and codes.form == "codes" and isinstance(table, Place)):
        raise lowering.no_kernel(call)
    is_table = table.form in ("matrix", "row") and not table.transposed
    memory = table.memory
    if not is_table or len(source.shape) != 2 or lowering.is_computed(table):
        raise lowering.no_kernel(call)
    assert isinstance(memory, Operand)
    rows, width = source.shape
    out = lowering.new_place(codes.width * width)
    # Of one column, its rows are floats that lie side by side.
    inputs = (codes, replace(table, memory=replace(memory, stride=1) if width == 1 else memory))
    check = (id(index), rows)
    lowering.looked_up.add(check)
    numbers = (rows, codes.width, int(check in lowering.code_checks))
    lowering.emit(Step("lookup", (out,), inputs, width, numbers=numbers))
    return out


def lower_scattered_sum(lowering: StepLowering, call: Call) -> Value:
    """Lower the gradient of a table whose rows were taken by their numbers."""
    start, index, part = call.arguments
    codes = lowering.value(index[0], call) if isinstance(index[0], Node) else None
    if known_number(start) != 0.0 or len(index) != 1 or len(call.shape) != 2:
        raise lowering.no_kernel(call)
    if not (isinstance(codes, Place) and codes.form == "codes"):
        raise lowering.no_kernel(call)
    gradients = lowering.place(part, call)
    rows, width = call.shape
    is_whole = part.shape == (*index[0].shape, width)
    if not gradients.is_of_examples or not is_whole:
        raise lowering.no_kernel(call)
    is_row = width == 1
    memory = Total(1 if is_row else padded(width, lowering.lanes))
    total = Place("sum", memory, rows, 1) if is_row else Place("sum", memory, width, rows)
    lowering.emit(
        Step(
            "lookup_sums", (total,), (codes, gradients), width,
            numbers=(rows, codes.width), accumulates=True,
        )
    )  # fmt: skip
    return total

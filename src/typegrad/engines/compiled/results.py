"""What a step leaves behind: its loss, gradients of parameters, changed states of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typegrad.engines.compiled.chain import copying
from typegrad.engines.compiled.fusion import Value, form_of
from typegrad.engines.compiled.graph_facts import NotNativeError
from typegrad.engines.compiled.layout import padded
from typegrad.engines.compiled.schedule import Place, Step, Total

if TYPE_CHECKING:
    from typegrad.engines.compiled.lowering import StepLowering


def take_results(lowering: StepLowering) -> None:
    """Let loss and gradients end among the chunk's sums, and change states.

    Raises
    ------
    NotNativeError
        If one of them is none of what native code has a place for; says which.
    """
    for total, source in lowering.late_totals:
        column = lowering.packed(lowering.force(source))
        lowering.emit(Step("total", (total,), (column,), 1, accumulates=True))
    parameters, layout = lowering.layout.parameters, lowering.layout.padded
    loss = _as_total(lowering, lowering.values[id(lowering.graph.outputs["loss"])])
    if not isinstance(loss.memory, Total):
        raise NotNativeError("a loss that is not a sum over examples")
    loss.memory.offsets.append(layout.loss_start * lowering.itemsize)
    for leaf, node in lowering.graph.updates:
        if leaf.name in lowering.states:
            continue
        name = leaf.name.removesuffix(".grad")
        place = _as_total(lowering, lowering.values[id(node)])
        segment = layout.segments[parameters[name]]
        has_shape = (place.rows, place.width) == (segment.rows, segment.width)
        is_turned = place.transposed and place.rows > 1
        if not isinstance(place.memory, Total) or not has_shape or is_turned:
            raise NotNativeError(f"the gradient of {name}, which is not a sum over examples")
        place.memory.offsets.append(segment.padded_start * lowering.itemsize)
    _change_states(lowering)


def _as_total(lowering: StepLowering, value: Value) -> Place:
    """Return a sum over examples, or what was made of one, among the chunk's sums."""
    place = lowering.force(value)
    if place.form not in ("row", "matrix") or not lowering.is_computed(place):
        return place
    lowering.result.takes_whole_batch = True
    total = Place("sum", Total(padded(place.width, lowering.lanes)), place.width, place.rows)
    _copy_rows(lowering, place, total)
    return total


def _change_states(lowering: StepLowering) -> None:
    states, result = lowering.states, lowering.result
    changes = [
        (leaf, lowering.force(lowering.values[id(node)]))
        for leaf, node in lowering.graph.updates
        if leaf.name in states
    ]
    # Last, since other steps read the states as they were.
    phase = lowering.schedule.phases
    for leaf, place in changes:
        state = states[leaf.name]
        is_row = place.form in ("row", "number") and place.width in (1, state.width)
        # Another state may have changed by then.
        is_other = place in states.values() and place is not state
        if not is_row or is_other:
            raise NotNativeError("a layer's state that becomes something else than a row")
        _copy_rows(lowering, place, state, phase)
    arrays = {id(leaf.array) for leaf, _ in changes}
    result.changed_states = [each for each in result.states if id(each[0]) in arrays]


def _copy_rows(lowering: StepLowering, source: Place, target: Place, phase: int = 0) -> None:
    chain = copying(form_of(source, target.width))
    columns = padded(target.width, lowering.lanes)
    lowering.emit_joint(Step(chain, (target,), (source,), columns, target.rows), phase)

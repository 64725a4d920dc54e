"""From the graph of a forward pass to a schedule for tiles of rows."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from typegrad.engines.compiled.branches import CodeCheck, find_code_checks
from typegrad.engines.compiled.fusion import Value
from typegrad.engines.compiled.graph_facts import (
    NotNativeError,
    known_number,
    shape_in_words,
    width_of,
)
from typegrad.engines.compiled.layout import PaddedParameters
from typegrad.engines.compiled.lowering import LoweredStep, StepLayout, StepLowering
from typegrad.engines.compiled.memory import Constants
from typegrad.engines.compiled.program import OUTPUTS, Operand
from typegrad.engines.compiled.schedule import Buffer, Place, Step
from typegrad.engines.compiled.traced_step import TracedStep
from typegrad.tracing import Call, Graph, Leaf, Node, evaluate
from typegrad.tracing.graph import operands
from typegrad.types import Array


class ForwardLowering(StepLowering):
    """Turns the graph of a forward pass into a schedule.

    What does not depend on the inputs is not part of the schedule: parameters, buffers, and all
    that is computed from these alone. `refresh` computes it.

    Parameters
    ----------
    traced
        The pass.
    unscaling
        Scale and location of each output, float64, to undo a standardisation; or nothing.
    """

    def __init__(
        self,
        traced: TracedStep,
        lanes: int,
        dtype: np.dtype[Any],
        constants: Constants,
        unscaling: Sequence[Operand],
    ) -> None:
        code_checks = find_code_checks(traced.branches)
        if code_checks is None:
            raise NotNativeError("a branch on values")
        layout = StepLayout(traced.batch, {}, PaddedParameters([], lanes), 0, lanes, dtype, 0)
        super().__init__(traced.graph, layout, constants)
        self.code_checks: Set[CodeCheck] = code_checks
        self._moving = _depends_on_inputs(traced.graph)
        self._fixed: dict[str, tuple[Node, Array]] = {}
        self.unscaling: tuple[Operand, ...] = tuple(unscaling)

    def refresh(self) -> None:
        """Compute anew what does not depend on the inputs, from the parameters as they are."""
        computed = {}
        for name, (node, memory) in self._fixed.items():
            # Most are parameters themselves; a graph would take longer than to copy them.
            if isinstance(node, Leaf) and node.scalar is None and node.array is not None:
                memory[...] = node.array.reshape(memory.shape)
            else:
                computed[name] = node
        if not computed:
            return
        calls = [call for call in self.graph.calls if id(call) not in self._moving]
        with np.errstate(all="ignore"):
            values = evaluate(Graph(calls, computed, []), {})
        for name, value in values.items():
            memory = self._fixed[name][1]
            memory[...] = value.reshape(memory.shape)

    def _leaf(self, leaf: Leaf) -> Place:
        if leaf.kind == "input" or known_number(leaf) is not None:
            return super()._leaf(leaf)
        return self._unread

    def _call(self, call: Call) -> Value:
        return super()._call(call) if id(call) in self._moving else self._unread

    def value(self, argument: Any, call: Call) -> Value:
        # What the schedule reads gets a place; all else that is fixed is a step on the way.
        if isinstance(argument, Node) and self.values.get(id(argument)) is self._unread:
            self.values[id(argument)] = self._fixed_place(argument)
        return super().value(argument, call)

    _unread = Place("gradient", Buffer(0))

    def _fixed_place(self, node: Node) -> Place:
        """Return memory for an array that does not depend on the inputs."""
        size = int(np.prod(node.shape))
        is_row = size == max(node.shape, default=1)
        rows = 1 if is_row else node.shape[0]
        if node.dtype != self.layout.dtype or not size or not (is_row or len(node.shape) == 2):
            raise NotNativeError(f"a constant array of shape {node.shape} and {node.dtype}")
        operand, memory = self.constants.room(rows, size // rows)
        self._fixed[str(len(self._fixed))] = (node, memory)
        if is_row:
            return Place("row", replace(operand, stride=0), size)
        return Place("matrix", operand, size // rows, rows)

    def run(self) -> LoweredStep:
        lowered = super().run()
        if lowered.takes_whole_batch:
            raise NotNativeError("sums over examples")
        if self.looked_up != self.code_checks:
            raise NotNativeError("rows of a table by numbers that are not checked, or only checked")
        return lowered

    def _take_results(self) -> None:
        node = self.graph.outputs["outputs"]
        result = self.values[id(node)]
        if id(node) not in self._moving or node.shape[:1] != (self.layout.batch,):
            shape = shape_in_words(node.shape, self.layout.batch)
            raise NotNativeError(f"outputs of shape {shape} that are no rows")
        place = self.force(result)
        if not place.is_of_examples:
            raise NotNativeError("outputs that are no rows")
        width = width_of(node)
        # Rows of floats without gaps; those of float64 where they are put in the target's units.
        floats = width * (8 // self.itemsize if self.unscaling else 1)
        target = Place("tile", Operand(OUTPUTS, 0, floats), width)
        units = tuple(Place("row", operand, width) for operand in self.unscaling)
        kernel = "unscale" if units else "unpad"
        self.emit(Step(kernel, (target,), (place, *units), width))


def _depends_on_inputs(graph: Graph) -> frozenset[int]:
    """Ids of the calls and leaves that are other for other inputs."""
    found = {id(leaf) for leaf in graph.leaves() if leaf.kind == "input"}
    for call in graph.calls:
        if any(id(node) in found for node in operands(call)) or call.effect:
            found.add(id(call))
    return frozenset(found)

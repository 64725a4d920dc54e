"""Runs of calls, carried out block by block.

A long formula on large arrays writes each intermediate result to memory and reads it back. Block
by block, intermediate results need a block's memory only, and stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from typegrad.engines.planned_plan import Step
from typegrad.engines.planned_runs import Run
from typegrad.tracing import Call, Graph, Leaf, Node
from typegrad.tracing.graph import substitute
from typegrad.types import AnyArray


def lie_apart(arrays: Sequence[AnyArray]) -> bool:
    """Whether no array overlaps another: else a block might change what a later one reads."""
    return all(
        one is other or not np.may_share_memory(one, other)
        for place, one in enumerate(arrays)
        for other in arrays[:place]
    )


class Blocks:
    """The blocks of a run.

    Parameters
    ----------
    run
        The run.
    arrays
        Where its operands lie, by the nodes' ids.
    results
        The calls whose results are used after the run, and where these are written.
    """

    def __init__(
        self, run: Run, arrays: Mapping[int, AnyArray], results: Sequence[tuple[Call, AnyArray]]
    ) -> None:
        self.run = run
        self.results = results
        self.cut: dict[int, AnyArray] = {}
        self.whole: dict[int, Node] = {}
        for node in run.operands():
            if run.is_cut(node):
                self.cut[id(node)] = arrays[id(node)]
            else:
                literal = isinstance(node, Leaf) and node.kind == "literal"
                self.whole[id(node)] = node if literal else _leaf(arrays[id(node)])

    def steps(self, bind: Callable[[Graph], list[Step]]) -> list[Step]:
        """Return the steps of all blocks, given what binds a graph."""
        rows, size = self.run.shape[0], self.run.block_rows
        rest = rows % size
        first = bind(self._graph(0, size))
        steps = list(first)
        for start in range(size, rows - rest, size):
            steps += [self._moved(step, start) for step in first]
        return steps + bind(self._graph(rows - rest, rows)) if rest else steps

    def _graph(self, start: int, stop: int) -> Graph:
        """Return a graph of the calls on some rows, which updates these rows of the results."""
        leaves: dict[int, Leaf] = {}

        def leaf_on(array: AnyArray) -> Leaf:
            if id(array) not in leaves:  # a result may lie where an operand lies
                rows = array[start:stop]
                leaves[id(array)] = Leaf(
                    rows.shape, rows.dtype, rows.strides, "state", "rows", rows
                )
            return leaves[id(array)]

        parts: dict[int, Node] = {key: leaf_on(array) for key, array in self.cut.items()}
        parts.update(self.whole)
        for call in self.run.calls:
            parts[id(call)] = replace(
                call,
                shape=(stop - start, *call.shape[1:]),
                arguments=tuple(
                    substitute(each, lambda node: parts.get(id(node), node))
                    for each in call.arguments
                ),
            )
        calls: list[Any] = [parts[id(call)] for call in self.run.calls]
        return Graph(calls, {}, [(leaf_on(array), parts[id(call)]) for call, array in self.results])

    def _moved(self, step: Any, rows: int) -> Step:
        """Return a step of the first block for the block that begins at a row.

        Steps on intermediate results alone are the same for all blocks.
        """
        keywords = {name: self._moved_argument(each, rows) for name, each in step.keywords.items()}
        arguments = [self._moved_argument(each, rows) for each in step.args]
        old, new = [*step.args, *step.keywords.values()], [*arguments, *keywords.values()]
        same = all(one is other for one, other in zip(old, new, strict=True))
        moved: Step = step if same else partial(step.func, *arguments, **keywords)
        return moved

    def _moved_argument(self, argument: Any, rows: int) -> Any:
        if isinstance(argument, np.ndarray):
            for whole in [*self.cut.values(), *(array for _, array in self.results)]:
                if np.may_share_memory(argument, whole):
                    return _shifted(argument, whole, rows * whole.strides[0])
        return argument


def _leaf(array: AnyArray) -> Leaf:
    return Leaf(array.shape, array.dtype, array.strides, "state", "part", array)


def _shifted(array: AnyArray, whole: AnyArray, nbytes: int) -> AnyArray:
    """Return an array like a contiguous one in `whole`, some bytes further on."""
    start = _address(array) - _address(whole) + nbytes
    memory = whole.reshape(-1).view(np.uint8)[start : start + array.nbytes]
    return memory.view(array.dtype).reshape(array.shape)


def _address(array: AnyArray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address

"""Memory of plans: which intermediate result lies where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from typegrad.aligned import aligned_zeros
from typegrad.tracing import Call, Graph, Leaf, Node, primitives
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Guard, Ufunc
from typegrad.types import AnyArray, Shape


@dataclass(eq=False)
class Block:
    """A piece of memory that results take turns in."""

    memory: np.ndarray[tuple[int], np.dtype[np.uint8]]

    def array(self, shape: Shape, dtype: np.dtype[Any], strides: tuple[int, ...]) -> AnyArray:
        """Return an array at the block's start, laid out like one with these strides."""
        count = math.prod(shape)
        flat = self.memory[: count * dtype.itemsize].view(dtype)
        # As NumPy lays out results: the axis with the smallest stride varies fastest.
        order = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
        dense = flat.reshape([shape[axis] for axis in order])
        array: AnyArray = dense.transpose(np.argsort(order)) if order else dense
        return array


class Arena:
    """Blocks that plans share: one after the other uses them."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._free: list[Block] = []
        self._filled: dict[tuple[str, bytes], AnyArray] = {}

    @property
    def nbytes(self) -> int:
        """Memory of all blocks."""
        return sum(
            array.nbytes
            for array in [*(block.memory for block in self._blocks), *self._filled.values()]
        )

    def reset(self) -> None:
        """Let a new plan use all blocks."""
        self._free = list(self._blocks)

    def take(self, nbytes: int) -> Block:
        """Return the smallest free block that is large enough, else a new one."""
        fitting = [block for block in self._free if nbytes <= block.memory.nbytes]
        if fitting:
            # Of equal ones the one that was freed last: it is still in the cache.
            block = min(reversed(fitting), key=lambda each: each.memory.nbytes)
            self._free.remove(block)
            return block
        block = Block(aligned_zeros(max(nbytes, 1), np.dtype(np.uint8)))
        self._blocks.append(block)
        return block

    def filled(self, number: AnyArray, count: int) -> AnyArray:
        """Return an array of a number only, which all plans share and none may write."""
        key = (str(number.dtype), number.tobytes())
        if key not in self._filled or self._filled[key].size < count:
            self._filled[key] = np.full(count, number)
            self._filled[key].flags.writeable = False
        return self._filled[key][:count]

    def give(self, block: Block) -> None:
        """Take a block back."""
        self._free.append(block)


class Liveness:
    """When each result is used for the last time.

    Views lie in the memory of what they are views of: using one is using that.
    """

    def __init__(self, graph: Graph) -> None:
        self.end: int = len(graph.calls)
        self._roots: dict[int, Node] = {}
        self._last: dict[int, int] = {}
        for place, call in enumerate(graph.calls):
            if call.is_view:
                self._roots[id(call)] = self.root(call.arguments[0])
            for node in operands(call):
                self._last[id(self.root(node))] = place
        for node in [*graph.outputs.values(), *(node for _, node in graph.updates)]:
            self._last[id(self.root(node))] = self.end

    def root(self, node: Node) -> Node:
        """Return the node in whose memory a node lies: itself, but for views."""
        return self._roots.get(id(node), node)

    def last_use(self, node: Node) -> int:
        """Place of the last call that uses the root's memory; -1 if there is none."""
        return self._last.get(id(self.root(node)), -1)


_NOT_DIRECT = (primitives.fill, primitives.setitem, primitives.add_at)


def direct_targets(graph: Graph, live: Liveness) -> dict[int, AnyArray]:
    """Find the results that can be written into a state at once, by the results' ids."""
    places = {id(call): place for place, call in enumerate(graph.calls)}
    guards = [place for place, call in enumerate(graph.calls) if isinstance(call.function, Guard)]
    found: dict[int, AnyArray] = {}

    def fits(call: Call, leaf: Leaf, array: AnyArray) -> bool:
        place = places[id(call)]
        # What is there already must have been used; a failing guard must find it unchanged.
        free = live.last_use(leaf) < place or (
            _is_plain_ufunc(call) and live.last_use(leaf) == place and _reads(call, leaf)
        )
        alike = call.dtype == leaf.dtype and call.strides == array.strides
        unguarded = not any(guard > place for guard in guards)
        special = call.is_view or call.function in _NOT_DIRECT
        return free and alike and unguarded and not special and id(call) not in found

    for leaf, node in graph.updates:
        result: Node | None = node
        while isinstance(result, Call) and leaf.array is not None:
            if not fits(result, leaf, leaf.array):
                break
            found[id(result)] = leaf.array
            # What it is computed from may lie there before it.
            result = _overwritten(result, places[id(result)], live)
    return found


def _overwritten(call: Call, place: int, live: Liveness) -> Node | None:
    """Return the operand of a call that may lie where the result is written."""
    if not _is_plain_ufunc(call):
        return None
    for node in operands(call):
        alike = (node.shape, node.dtype, node.strides) == (call.shape, call.dtype, call.strides)
        if alike and live.last_use(node) == place and _is_plain_ufunc(node):
            return node
    return None


def _is_plain_ufunc(node: Node) -> bool:
    function = node.function if isinstance(node, Call) else None
    return (
        isinstance(function, Ufunc)
        and function.method == "__call__"
        and function.ufunc is not np.matmul
    )


def _reads(call: Call, leaf: Leaf) -> bool:
    """Whether the state is read in its own shape, not through a view of another order."""
    return any(node is leaf for node in operands(call))

"""Memory of plans: which intermediate result lies where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from typegrad.tracing import Call, Graph, Leaf, Node, primitives
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Guard, Ufunc
from typegrad.types import AnyArray, Shape

_ALIGNMENT = 64
"""Bytes of a cache line, and of the widest vector register."""


@dataclass(eq=False)
class Block:
    """A piece of memory that results take turns in."""

    memory: np.ndarray[tuple[int], np.dtype[np.uint8]]

    def array(self, shape: Shape, dtype: np.dtype[Any], strides: tuple[int, ...]) -> AnyArray:
        """Return an array at the block's start, laid out like one with these strides."""
        count = math.prod(shape)
        flat = self.memory[: count * dtype.itemsize].view(dtype)
        # As NumPy lays out results: the axis with the smallest stride varies fastest.
        order = sorted(range(len(shape)), key=lambda axis: -strides[axis])
        dense = flat.reshape([shape[axis] for axis in order])
        array: AnyArray = dense.transpose(np.argsort(order)) if order else dense
        return array


class Arena:
    """Blocks that plans share: one after the other uses them."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._free: list[Block] = []

    @property
    def nbytes(self) -> int:
        """Memory of all blocks."""
        return sum(block.memory.nbytes for block in self._blocks)

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
        block = Block(_aligned(nbytes))
        self._blocks.append(block)
        return block

    def give(self, block: Block) -> None:
        """Take a block back."""
        self._free.append(block)


def _aligned(nbytes: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    size = max(nbytes, 1)
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size]


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
    for leaf, node in graph.updates:
        if not isinstance(node, Call) or node.is_view or id(node) in found or leaf.array is None:
            continue
        place = places[id(node)]
        elementwise = isinstance(node.function, Ufunc) and node.function.method == "__call__"
        elementwise = elementwise and node.function is not Ufunc(np.matmul)
        # What is there already must have been used; a failing guard must find it unchanged.
        free = live.last_use(leaf) < place or (
            elementwise and live.last_use(leaf) == place and _reads_itself_only(node, leaf)
        )
        fits = node.dtype == leaf.dtype and node.strides == leaf.array.strides
        unguarded = not any(guard > place for guard in guards)
        if free and fits and unguarded and node.function not in _NOT_DIRECT:
            found[id(node)] = leaf.array
    return found


def _reads_itself_only(call: Call, leaf: Leaf) -> bool:
    """Whether the state is read in its own shape, not through a view of another order."""
    return any(node is leaf for node in operands(call))

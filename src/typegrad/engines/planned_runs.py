"""Runs of element-wise calls: long ones are carried out block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from typegrad.engines.planned_layout import is_row_major
from typegrad.tracing import Call, Graph, Leaf, Node, primitives
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Ufunc
from typegrad.types import Shape

BLOCK_BYTES = 2**18
"""Memory of a block of one array: a formula works on two or three, which fit into a core's cache.

Smaller blocks would mean more calls, which cost more than the faster cache gains.
"""

LONGEST_WHOLE = 2 * BLOCK_BYTES
"""Bytes of the longest arrays that are not cut."""

# Each element of their results depends on those elements of the operands alone, not on its place
# in the array, by which NumPy computes it in a vector or by itself.
_ELEMENTWISE = frozenset(
    {
        np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.absolute,
        np.sqrt, np.square, np.maximum, np.minimum, np.reciprocal, np.sign, np.exp, np.expm1,
        np.log, np.log1p, np.tanh, np.less, np.less_equal, np.greater, np.greater_equal,
        np.equal, np.not_equal, np.logical_and, np.logical_or, np.logical_not, np.isfinite,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Consecutive element-wise calls on arrays of one shape, or any one call.

    Attributes
    ----------
    start
        Place of the first call in the graph.
    calls
        The calls.
    """

    start: int
    calls: Sequence[Call]

    @property
    def shape(self) -> Shape:
        """Shape of the results."""
        return self.calls[0].shape

    @property
    def block_rows(self) -> int:
        """Rows of a block: blocks are cut along the first axis."""
        return max(1, BLOCK_BYTES // self._row_bytes)

    @property
    def is_long(self) -> bool:
        """Whether blocks pay: for several calls on large arrays."""
        return len(self.calls) > 1 and self.shape[0] * self._row_bytes > LONGEST_WHOLE

    @property
    def _row_bytes(self) -> int:
        widest = max(call.dtype.itemsize for call in self.calls)
        return math.prod(self.shape[1:]) * widest

    def operands(self) -> list[Node]:
        """Return what the calls read and do not compute themselves, without scalars."""
        found = {id(node): node for call in self.calls for node in operands(call)}
        for call in self.calls:
            found.pop(id(call), None)
        return [node for node in found.values() if not _is_scalar(node)]

    def is_cut(self, node: Node) -> bool:
        """Whether a block of the results needs a block of the operand, not all of it."""
        return _has_rows_of(node, self.shape)


def split_into_runs(graph: Graph) -> Iterator[Run]:
    """Cut a graph's calls into runs that are as long as can be."""
    start = 0
    calls = graph.calls
    for place in range(1, len(calls) + 1):
        if place == len(calls) or not belong_together(calls[start], calls[place]):
            yield Run(start, calls[start:place])
            start = place


def belong_together(first: Call, call: Call) -> bool:
    """Whether both can be in one run."""
    return _is_blockable(first) and _is_blockable(call) and first.shape == call.shape


def _is_blockable(call: Call) -> bool:
    """Whether rows of the result can be computed from the same rows of the operands."""
    if not _is_elementwise(call) or call.keywords or not call.shape or 0 in call.shape:
        return False
    cut = [node for node in operands(call) if _has_rows_of(node, call.shape)]
    return all(is_row_major(node) for node in (call, *cut))


def _is_elementwise(call: Call) -> bool:
    function = call.function
    if isinstance(function, Ufunc):
        return function.method == "__call__" and function.ufunc in _ELEMENTWISE
    return function in (primitives.where, primitives.astype) or is_plain_clip(call)


def is_plain_clip(call: Call) -> bool:
    """Whether a call is np.clip of an array between two numbers, or one of them."""
    if call.function is not np.clip or call.keywords or len(call.arguments) != 3:
        return False
    x, *limits = call.arguments
    numbers = all(limit is None or isinstance(limit, int | float) for limit in limits)
    return isinstance(x, Node) and x.dtype == call.dtype and call.dtype.kind == "f" and numbers


def _is_scalar(node: Node) -> bool:
    return isinstance(node, Leaf) and node.scalar is not None


def _has_rows_of(node: Node, shape: Shape) -> bool:
    return len(node.shape) == len(shape) and node.shape[0] == shape[0]

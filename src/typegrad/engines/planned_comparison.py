"""Whether two traces of the same formula are the same: if not, it has a state of its own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from typegrad.tracing import Call, Graph, Leaf, Node
from typegrad.tracing.primitives import Opaque


@dataclass(frozen=True)
class Difference:
    """Where two graphs differ: in what comes from this operation or layer."""

    origin: object


def first_difference(one: Graph, other: Graph) -> Difference | None:
    """Compare two graphs call by call; equal arrays count as the same."""
    partner: dict[int, int] = {}

    def same(left: Any, right: Any) -> bool:
        if isinstance(left, tuple) and isinstance(right, tuple):
            return len(left) == len(right) and all(map(same, left, right))
        if isinstance(left, Leaf) and isinstance(right, Leaf) and left.kind != "result":
            return _same_leaf(left, right)
        if isinstance(left, Node):
            return partner.get(id(left)) == id(right)
        return type(left) is type(right) and repr(left) == repr(right)

    for call, twin in zip_longest(one.calls, other.calls):
        if call is None or twin is None or not _same_function(call, twin):
            return Difference((call or twin).origin)
        if not same(call.arguments, twin.arguments) or repr(call.keywords) != repr(twin.keywords):
            return Difference(call.origin)
        for written, pair in zip((call, *call.results), (twin, *twin.results), strict=True):
            partner[id(written)] = id(pair)
    kept = zip(_kept(one), _kept(other), strict=True)
    return None if all(same(left, right) for left, right in kept) else Difference(None)


def _kept(graph: Graph) -> list[Node]:
    return [*graph.outputs.values(), *(node for _, node in graph.updates)]


def _same_function(call: Call, twin: Call) -> bool:
    if isinstance(call.function, Opaque):
        # Not by their names: those of parts that count something change.
        return isinstance(twin.function, Opaque) and call.origin is twin.origin
    return call.function == twin.function and call.shape == twin.shape


def _same_leaf(left: Leaf, right: Leaf) -> bool:
    if (left.kind, left.name) != (right.kind, right.name):
        return False
    if left.array is None or right.array is None or left.array is right.array:
        return True
    return (
        left.array.dtype == right.array.dtype
        and left.array.shape == right.array.shape
        and left.array.tobytes() == right.array.tobytes()
    )

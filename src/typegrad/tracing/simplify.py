"""Simplification of graphs that leaves every bit of every result as it is."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from typegrad.tracing import primitives
from typegrad.tracing.graph import Call, Graph, Leaf, Node, operands, substitute
from typegrad.tracing.primitives import Opaque, Ufunc
from typegrad.types import AnyArray

_FOLDED_SIZE = 2**20
"""Elements of the largest array that is computed once and for all."""


def simplify(graph: Graph) -> Graph:
    """Return a graph with the same results and less to do.

    Common subexpressions are computed once, what nobody uses not at all, what depends on
    literals alone beforehand. Products with one, sums over axes of length one, copies and
    changes of shape that change nothing are left out, and so are additions to a gradient that is
    still zero (which differ from what is added at most in the sign of a zero).

    Examples
    --------
    >>> from typegrad.tracing import Recorder
    >>> recorder = Recorder()
    >>> x = recorder.input("x", np.ones((2, 3)))
    >>> unused, y = np.exp(x), np.tanh(x) * np.tanh(x) * 1.0
    >>> print(simplify(recorder.finish(y=y)))
    %0 = input x  float64 (2, 3)
    %1 = tanh(%0)  float64 (2, 3)
    %2 = multiply(%1, %1)  float64 (2, 3)
    output y = %2
    """
    replaced: dict[int, Node] = {}
    known: dict[Hashable, Node] = {}
    calls: list[Call] = []

    def current(node: Node) -> Node:
        return replaced.get(id(node), node)

    for old in graph.calls:
        call = replace(old, arguments=tuple(substitute(part, current) for part in old.arguments))
        key = _key(call)
        node = known.get(key) or _shortcut(call)
        if node is None:
            calls.append(call)
            node = call
        known[key] = node
        replaced[id(old)] = node
    outputs = {name: current(node) for name, node in graph.outputs.items()}
    updates = [(leaf, current(node)) for leaf, node in graph.updates]
    return Graph(
        _used(calls, [*outputs.values(), *(node for _, node in updates)]), outputs, updates
    )


def _used(calls: list[Call], wanted: list[Node]) -> list[Call]:
    """Return the calls that the wanted nodes, or effects, depend on."""
    needed = {id(node) for node in wanted}
    kept = []
    for call in reversed(calls):
        if call.effect or id(call) in needed:
            kept.append(call)
            needed.update(id(node) for node in operands(call))
    return kept[::-1]


def _key(call: Call) -> Hashable:
    """Calls with equal keys have equal results."""
    if isinstance(call.function, Opaque):
        return id(call)
    try:
        key = (
            call.function,
            tuple(_argument_key(part) for part in call.arguments),
            tuple((name, _argument_key(part)) for name, part in sorted(call.keywords.items())),
        )
        hash(key)
    except TypeError:
        return id(call)
    return key


def _argument_key(argument: Any) -> Hashable:
    if isinstance(argument, Leaf) and argument.kind == "literal" and argument.array is not None:
        return ("literal", argument.array.tobytes(), str(argument.dtype), argument.shape)
    if isinstance(argument, Leaf) and argument.scalar is not None:
        return ("scalar", argument.scalar.key)
    if isinstance(argument, Node):
        return id(argument)
    if isinstance(argument, tuple):
        return tuple(_argument_key(part) for part in argument)
    if isinstance(argument, slice):
        return ("slice", argument.start, argument.stop, argument.step)
    # 1, 1.0 and True are equal, and so are 0.0 and -0.0, but not for this purpose.
    return (type(argument), repr(argument))


def _shortcut(call: Call) -> Node | None:
    """Return a node that is equal to the call's result, if there is one that costs less."""
    if call.effect:
        return None
    rule = _RULES.get(call.function)
    if rule is not None and (same := rule(call)) is not None:
        return same if _alike(same, call) else None
    first = call.arguments[0] if call.arguments else None
    if call.is_view and isinstance(first, Node) and _alike(first, call) and _keeps_order(call):
        return first
    return _folded(call)


def _alike(node: Node, call: Call) -> bool:
    return (node.shape, node.dtype, node.strides) == (call.shape, call.dtype, call.strides)


def _keeps_order(call: Call) -> bool:
    """Whether a view of the same shape and strides starts at the same element."""
    return call.function in (np.reshape, np.broadcast_to, np.ravel) or (
        call.function in (np.transpose, np.swapaxes) and call.shape.count(1) >= len(call.shape) - 1
    )


def _folded(call: Call) -> Leaf | None:
    """Compute what depends on literals alone."""
    literal = all(isinstance(node, Leaf) and node.kind == "literal" for node in operands(call))
    plain = isinstance(call.function, Ufunc) or call.function in _FOLDABLE
    if not (literal and plain) or np.prod(call.shape) > _FOLDED_SIZE:
        return None
    arguments = [substitute(part, _array) for part in call.arguments]
    array = np.asarray(call.function(*arguments, **call.keywords))
    name = _literal_name(call)
    return Leaf(array.shape, array.dtype, array.strides, "literal", name, array)


_FOLDABLE = (primitives.fill, primitives.astype, primitives.getitem, np.reshape, np.broadcast_to)


def _array(node: Node) -> AnyArray | None:
    return node.array if isinstance(node, Leaf) else None


def _literal_name(call: Call) -> str:
    return str(call.arguments[1]) if call.function is primitives.fill else "folded"


def _is_one(argument: Any) -> bool:
    if isinstance(argument, Leaf) and argument.kind == "literal":
        return argument.array is not None and bool(np.all(argument.array == 1))
    return isinstance(argument, int | float) and argument == 1


def _product(call: Call) -> Node | None:
    left, right = call.arguments
    if _is_one(right) and isinstance(left, Node):
        return left
    return right if _is_one(left) and isinstance(right, Node) else None


def _quotient(call: Call) -> Node | None:
    left, right = call.arguments
    return left if _is_one(right) and isinstance(left, Node) else None


def _sum_with_zero(call: Call) -> Node | None:
    left, right = call.arguments
    if isinstance(left, Call) and left.function is primitives.zero_gradient:
        return right if isinstance(right, Node) else None
    return None


def _copy(call: Call) -> Node | None:
    first = call.arguments[0]
    return first if isinstance(first, Node) else None


def _whole_assignment(call: Call) -> Node | None:
    """x[...] = value, for a value of x's own shape and dtype."""
    _, index, value = call.arguments
    return value if index == (Ellipsis,) and isinstance(value, Node) else None


_RULES: dict[Any, Callable[[Call], Node | None]] = {
    Ufunc(np.multiply): _product,
    Ufunc(np.divide): _quotient,
    Ufunc(np.add): _sum_with_zero,
    Ufunc(np.positive): _copy,
    primitives.astype: _copy,
    np.copy: _copy,
    primitives.setitem: _whole_assignment,
}

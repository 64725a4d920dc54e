"""What lowering needs to know about a graph beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from typegrad.errors import TypegradError
from typegrad.tracing import Call, Graph, Leaf, Node
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Ufunc
from typegrad.types import Shape


class NotNativeError(TypegradError):
    """A graph has something that the compiled engine has no kernel for.

    `origin` is the operation, layer or loss that it comes from, if it is known.
    """

    def __init__(self, message: str, origin: object = None) -> None:
        super().__init__(message)
        self.origin = origin


VIEWS = frozenset({"reshape", "astype", "swapaxes", "transpose", "getitem"})
"""Functions whose result lies in their operand's memory."""

SUMMING = frozenset({"add.reduce", "matmul", "times_transposed", "add_at"})
"""Functions that can sum over examples."""


def readers_of(graph: Graph) -> dict[int, frozenset[int]]:
    """Ids of the calls that read each node, by itself or through what does not change it.

    What is an output or an update is read by "call" 0.
    """
    found: dict[int, set[int]] = {}
    for node in [*graph.outputs.values(), *(node for _, node in graph.updates)]:
        found.setdefault(id(node), set()).add(0)
    for call in reversed(graph.calls):
        through = found.get(id(call), set()) if is_same(call) else {id(call)}
        for node in operands(call):
            found.setdefault(id(node), set()).update(through)
    return {key: frozenset(readers) for key, readers in found.items()}


def joined_sums(
    gradients: Iterable[Node], readers: Mapping[int, frozenset[int]], batch: int
) -> frozenset[int]:
    """Ids of additions that make a gradient of several sums over examples, and of these sums.

    That is the gradient of a parameter which a step uses more than once.
    """
    found: set[int] = set()
    for node in gradients:
        parts = _joined(node, frozenset({0}), readers, batch)
        if len(parts) > 1:
            found |= parts
    return frozenset(found)


def _joined(
    node: Any, only_readers: frozenset[int], readers: Mapping[int, frozenset[int]], batch: int
) -> set[int]:
    """Return the ids of a sum's parts and its own; nothing if it is read or made otherwise."""
    while isinstance(node, Call) and is_view(node):
        node = node.arguments[0]
    if not isinstance(node, Call) or readers[id(node)] != only_readers:
        return set()
    if name_of(node) == "add":
        reader = frozenset({id(node)})
        one, other = (_joined(part, reader, readers, batch) for part in node.arguments)
        # The same sum twice is not two sums that can be made side by side.
        return {id(node)} | one | other if one and other and not one & other else set()
    is_of_examples = any(part.shape[:1] == (batch,) for part in operands(node))
    is_sum = is_of_examples and name_of(node) in SUMMING and node.shape[:1] != (batch,)
    return {id(node)} if is_sum else set()


def is_view(call: Call) -> bool:
    """Whether the call's result lies in its operand's memory, or is all but its operand."""
    return name_of(call) in VIEWS


def is_same(call: Call) -> bool:
    """Whether the call's result lies where its first operand lies."""
    return is_view(call) or is_sum_of_one(call)


def is_sum_of_one(call: Call) -> bool:
    """Whether it sums the only float of each row, or finds the largest: then it is that float."""
    return (
        name_of(call) in ("add.reduce", "maximum.reduce")
        and isinstance(call.arguments[0], Node)
        and width_of(call.arguments[0]) == 1
        and axes_of(call) == tuple(range(1, len(call.arguments[0].shape)))
    )


def axes_of(call: Call) -> tuple[int, ...]:
    """Axes along which a call reduces, or joins."""
    axis = call.keywords.get("axis", 0)
    source = call.arguments[0]
    rank = len(source.shape) if isinstance(source, Node) else len(call.shape)
    if axis is None:
        return tuple(range(rank))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(int(each) % max(rank, 1) for each in axes)


def name_of(call: Call) -> str:
    """Name of a call's function."""
    return str(getattr(call.function, "__name__", call.function))


def known_number(argument: Any) -> float | None:
    """Value of a number, or of an array of equal numbers, that is known in advance."""
    if isinstance(argument, bool | int | float):
        return float(argument)
    if not isinstance(argument, Leaf) or argument.kind != "literal":
        return None
    if argument.array is not None and argument.array.size:
        first = float(argument.array.flat[0])
        return first if (argument.array == first).all() else None
    return None


def width_of(node: Node) -> int:
    """Floats in one example's row."""
    width = 1
    for length in node.shape[1:]:
        width *= length
    return width


def shape_in_words(shape: Shape, batch: int) -> str:
    """Write a shape with n for the number of examples, which is `batch` while tracing."""

    def in_words(length: int) -> str:
        times, rest = divmod(length, batch)
        if rest or not length:
            return str(length)
        return "n" if times == 1 else f"{times}n"

    lengths = [in_words(length) for length in shape]
    return f"({', '.join(lengths)}{',' * (len(shape) == 1)})"


def is_random(call: Call) -> bool:
    """Whether it is a mask's random numbers, or their comparison with its rate."""
    if name_of(call) == "uniform":
        return True
    first = call.arguments[0] if call.arguments else None
    is_less = isinstance(call.function, Ufunc) and call.function.ufunc is np.less
    return is_less and isinstance(first, Call) and is_random(first)

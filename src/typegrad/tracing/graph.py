"""Graph: what a formula computes, as a list of primitives on arrays of known shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from typegrad.tracing.scalar import Scalar
from typegrad.types import AnyArray, Shape

LeafKind: TypeAlias = Literal["input", "state", "constant", "literal", "scalar", "result"]


@dataclass(eq=False)
class Node:
    """An array: what it is made of is told by the subclass.

    Attributes
    ----------
    shape, dtype
        As an array has them.
    strides
        Its layout in memory, which decides the order in which NumPy adds numbers up.
    """

    shape: Shape
    dtype: np.dtype[Any]
    strides: tuple[int, ...]


@dataclass(eq=False)
class Leaf(Node):
    """An array that no call of the graph computes.

    Attributes
    ----------
    kind
        ``"input"``: given anew each time. ``"state"``: an array that the graph may also
        update. ``"constant"``: an array of the formula's, read where it lies, each time.
        ``"literal"``: an array that never changes. ``"scalar"``: a Python number given anew
        each time. ``"result"``: written by a call with `Call.results`.
    name
        For people, and for the inputs' lookup.
    array
        The memory of states, constants and literals.
    scalar
        How a scalar is computed.
    """

    kind: LeafKind
    name: str
    array: AnyArray | None = None
    scalar: Scalar | None = None


@dataclass(eq=False)
class Call(Node):
    """A function applied to nodes and to static values.

    Attributes
    ----------
    function
        A pure function of arrays, unless `effect` is set.
    arguments, keywords
        Of the function; nodes may stand among the arguments, and in tuples there.
    is_view
        Whether the result lies in the memory of the first argument.
    effect
        Whether the call must happen even if nobody uses its result.
    results
        The arrays that a call with several results, or with an effect, writes.
    origin
        The operation or layer it comes from.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    is_view: bool = False
    effect: bool = False
    results: tuple[Leaf, ...] = ()
    origin: object = None


@dataclass
class Graph:
    """Calls in the order in which they run, and what is kept of them.

    Attributes
    ----------
    calls
        In an order in which each finds its arguments.
    outputs
        Nodes by name.
    updates
        Pairs (state, node): at the end the state's memory gets the node's value.
    """

    calls: list[Call]
    outputs: dict[str, Node]
    updates: list[tuple[Leaf, Node]]

    def leaves(self) -> list[Leaf]:
        """All leaves but results, in the order in which they are first used."""
        found: dict[int, Leaf] = {}
        roots = [*self.outputs.values(), *(part for update in self.updates for part in update)]
        for node in [*(arg for call in self.calls for arg in operands(call)), *roots]:
            if isinstance(node, Leaf) and node.kind != "result":
                found.setdefault(id(node), node)
        return list(found.values())

    def has(self, function_type: type) -> bool:
        """Whether a call is of a function of this type."""
        return any(isinstance(call.function, function_type) for call in self.calls)

    def __str__(self) -> str:
        """One line a node: ``%3 = add(%1, %2)  float32 (32, 64)  Linear()``."""
        names: dict[int, str] = {}
        lines = []
        for leaf in self.leaves():
            names[id(leaf)] = f"%{len(names)}"
            lines.append(f"{names[id(leaf)]} = {leaf.kind} {leaf.name}  {_type_text(leaf)}")
        for call in self.calls:
            written = call.results or (call,)
            for node in written:
                names[id(node)] = f"%{len(names)}"
            targets = ", ".join(names[id(node)] for node in written)
            values = [_value_text(argument, names) for argument in call.arguments]
            values += [f"{key}={_value_text(x, names)}" for key, x in call.keywords.items()]
            types = ", ".join(_type_text(node) for node in written)
            origin = "" if call.origin is None else f"  {call.origin}"
            name = function_name(call.function)
            lines.append(f"{targets} = {name}({', '.join(values)})  {types}{origin}")
        lines += [f"output {name} = {names[id(node)]}" for name, node in self.outputs.items()]
        lines += [f"update {names[id(leaf)]} = {names[id(node)]}" for leaf, node in self.updates]
        return "\n".join(lines)


def operands(call: Call) -> Iterator[Node]:
    """All nodes among the arguments, also those in tuples."""
    for argument in call.arguments:
        yield from _nodes(argument)


def substitute(argument: Any, replace: Callable[[Node], Any]) -> Any:
    """Replace the nodes in an argument, also those in tuples."""
    if isinstance(argument, Node):
        return replace(argument)
    if isinstance(argument, tuple):
        return tuple(substitute(part, replace) for part in argument)
    return argument


def function_name(function: Callable[..., Any]) -> str:
    """Name of a primitive, for people."""
    return getattr(function, "__name__", None) or str(function)


def _nodes(argument: Any) -> Iterator[Node]:
    if isinstance(argument, Node):
        yield argument
    elif isinstance(argument, tuple):
        for part in argument:
            yield from _nodes(part)


def _type_text(node: Node) -> str:
    return f"{node.dtype} {node.shape}"


def _value_text(value: Any, names: Mapping[int, str]) -> str:
    if isinstance(value, Node):
        return names[id(value)]
    if isinstance(value, tuple):
        return f"({', '.join(_value_text(part, names) for part in value)})"
    if isinstance(value, slice):
        parts = (
            (value.start, value.stop)
            if value.step is None
            else (
                value.start,
                value.stop,
                value.step,
            )
        )
        return ":".join("" if part is None else str(part) for part in parts)
    return "..." if value is Ellipsis else str(value)

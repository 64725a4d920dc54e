"""From expressions that build a network to the layers they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mypy.nodes import (
    ARG_POS,
    ARG_STAR,
    ArgKind,
    CallExpr,
    Expression,
    IntExpr,
    ListExpr,
    OpExpr,
    StarExpr,
    TupleExpr,
)
from mypy.plugin import CheckerPluginInterface
from mypy.types import Instance, ProperType, TupleType, UnionType, UnpackType, get_proper_type

from typegrad.mypy_plugin.variables import first_type
from typegrad.mypy_plugin.widths import Part, call_text, layer_widths, short_name, width_of

CHAIN = "typegrad.layers.containers.Chain"
_CONTAINERS = (CHAIN, "typegrad.layers.containers.Residual")
_ONE_WIDTH = (
    "typegrad.layers.normalization.BatchNorm",
    "typegrad.layers.normalization.LayerNorm",
)
_TWO_WIDTHS = "typegrad.layers.dense.Dense"
_EMBEDDING = "typegrad.layers.embedding.Embedding"
_OPERATION = "typegrad.operations.base.ElementwiseOperation"
_KEEPING = (_OPERATION, "typegrad.layers.base.ElementwiseLayer")


class Reader:
    """Reads the layers of one call; None stands for any number of layers that are not known."""

    def __init__(self, api: CheckerPluginInterface) -> None:
        self._api = api

    def type_of(self, node: Expression) -> ProperType:
        """Type of an expression by itself; the checker reports what is wrong inside it."""
        with self._api.msg.filter_errors():
            given = get_proper_type(self._api.get_expression_type(node))
        return first_type(self._api, node, given)

    def arguments(self, call: CallExpr) -> Iterator[Part | None]:
        """Read the layers that a container is called with."""
        given = [
            (node, kind)
            for node, kind in zip(call.args, call.arg_kinds, strict=True)
            if not kind.is_named(star=True)
        ]
        if len(given) == 1 and given[0][1] == ARG_POS:
            yield from self._only_argument(given[0][0])
            return
        for node, kind in given:
            yield from self._argument(node, kind)

    def _only_argument(self, node: Expression) -> Iterator[Part | None]:
        """Read a layer, or an iterable of layers."""
        given = self.type_of(node)
        part = self.part(node, given)
        if part is not None:
            links = list(self.links(node))
            yield from [part] if len(links) == 1 else [self.part_of(link) for link in links]
        else:
            yield from self._items(node, given)

    def _argument(self, node: Expression, kind: ArgKind) -> Iterator[Part | None]:
        if kind == ARG_STAR:
            yield from self._items(node, self.type_of(node))
        else:
            yield self.part_of(node)

    def _items(self, node: Expression, given: ProperType) -> Iterator[Part | None]:
        """Read what an iterable holds."""
        if isinstance(node, ListExpr | TupleExpr):
            for item in node.items:
                if isinstance(item, StarExpr):
                    yield from self._items(item.expr, self.type_of(item.expr))
                else:
                    yield self.part_of(item)
        elif isinstance(node, OpExpr) and node.op == "+":
            for side in (node.left, node.right):
                yield from self._items(side, self.type_of(side))
        elif isinstance(given, TupleType):
            for each in given.items:
                proper = get_proper_type(each)
                yield None if isinstance(proper, UnpackType) else self.part(node, proper)
        else:
            yield None

    def part_of(self, node: Expression) -> Part | None:
        """Read one layer by itself."""
        return self.part(node, self.type_of(node))

    def part(self, node: Expression, given: ProperType) -> Part | None:
        """Read one layer; None if it is no layer that is known."""
        if isinstance(given, UnionType):
            return self._alternatives(node, [get_proper_type(item) for item in given.items])
        if not isinstance(given, Instance):
            return None
        text = self.describe(node, given)
        if any(given.type.has_base(base) for base in _KEEPING):
            return Part(node, text, keeps=True)
        widths = layer_widths(given)
        return None if widths is None else Part(node, text, *widths)

    def _alternatives(self, node: Expression, items: Sequence[ProperType]) -> Part | None:
        """Read a layer that is one of several."""
        parts = [part for item in items if (part := self.part(node, item)) is not None]
        if len(parts) < len(items) or any(part.keeps for part in parts):
            return None
        takes, gives = (
            width_of([side.type for side in sides])
            for sides in zip(*((part.takes, part.gives) for part in parts), strict=True)
        )
        return Part(node, " or ".join(dict.fromkeys(part.text for part in parts)), takes, gives)

    def links(self, node: Expression) -> Iterator[Expression]:
        """Layers that ``>>`` puts together."""
        if isinstance(node, OpExpr) and node.op == ">>":
            yield from self.links(node.left)
            yield from self.links(node.right)
        else:
            yield node

    def describe(self, node: Expression, given: Instance) -> str:
        """Write a layer as its ``repr`` does, as far as it is known."""
        name, fullname = given.type.name, given.type.fullname
        if fullname in _CONTAINERS:
            return f"{name}({', '.join(self._inside(node, fullname))})"
        if fullname == _TWO_WIDTHS:
            return f"{name}({', '.join(short_name(arg) for arg in given.args)})"
        if fullname in _ONE_WIDTH:
            return f"{name}({short_name(given.args[0])})"
        if fullname == _EMBEDDING:
            count = node.args[0] if isinstance(node, CallExpr) and node.args else None
            text = str(count.value) if isinstance(count, IntExpr) else "..."
            return f"{name}({text}, {short_name(given.args[0])})"
        text = call_text(given.type)
        return f"Activation({text})" if given.type.has_base(_OPERATION) else text

    def _inside(self, node: Expression, fullname: str) -> Iterator[str]:
        """Write the layers of a container."""
        parts: Iterator[Part | None] = iter([None])
        if isinstance(node, CallExpr):
            parts = self.arguments(node)
        elif isinstance(node, OpExpr) and fullname == CHAIN:
            parts = (self.part_of(link) for link in self.links(node))
        for part in parts:
            yield "..." if part is None else part.text

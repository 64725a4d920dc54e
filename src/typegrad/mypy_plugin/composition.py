"""Checks of ``before >> after``, in words, and for widths of any number."""

from __future__ import annotations

from mypy.nodes import OpExpr
from mypy.plugin import MethodSigContext
from mypy.subtypes import is_subtype
from mypy.typeops import make_simplified_union
from mypy.types import FunctionLike, Instance, Type, UnionType, get_proper_type

from typegrad.mypy_plugin.construction import check_links, check_super_call
from typegrad.mypy_plugin.reader import CHAIN, Reader
from typegrad.mypy_plugin.variables import first_type, open_type
from typegrad.mypy_plugin.widths import UNKNOWN

_LIST = "builtins.list"
_LAYER_LIKE = "typegrad.operations.layer_like.LayerLike"


def check_composition(ctx: MethodSigContext) -> FunctionLike:
    """Compare what the left operand gives with what the right one takes."""
    node, default = ctx.context, ctx.default_signature
    result = get_proper_type(default.ret_type)
    if not isinstance(node, OpExpr) or not isinstance(result, Instance):
        return default
    if node.op != ">>" or result.type.fullname != CHAIN:
        return default
    check_super_call(ctx.api, node)
    reader = Reader(ctx.api)
    before = reader.part(node.left, first_type(ctx.api, node.left, get_proper_type(ctx.type)))
    after = reader.part(node.right, reader.type_of(node.right))
    if before is None or after is None:
        return default
    check_links(ctx.api, map(reader.part_of, reader.links(node)), node)
    first, last = after if before.keeps else before, before if after.keeps else after
    exact = result.copy_modified(args=[first.takes.type, last.gives.type])
    return default.copy_modified(
        arg_types=[UNKNOWN], ret_type=open_type(ctx.api, node, exact), variables=[]
    )


def check_reflected(ctx: MethodSigContext) -> FunctionLike:
    """Compare them again where mypy asks the right operand, after the left one has failed."""
    node = ctx.context
    if isinstance(node, OpExpr) and node.op == ">>" and _is_layer(ctx.type):
        reader = Reader(ctx.api)
        check_links(ctx.api, map(reader.part_of, reader.links(node)), node)
    return ctx.default_signature


def check_sum(ctx: MethodSigContext) -> FunctionLike:
    """Add lists of different layers, where mypy expects both to be what is wanted of the sum."""
    default = ctx.default_signature
    wanted = ctx.api.type_context[-1] if ctx.api.type_context else None
    if wanted is None or len(ctx.args) != 1 or len(ctx.args[0]) != 1:
        return default
    items = _items(ctx.type)
    other = _items(Reader(ctx.api).type_of(ctx.args[0][0])) if items is not None else None
    if items is None or other is None:
        return default
    result = ctx.api.named_generic_type(_LIST, [make_simplified_union([items, other])])
    if not is_subtype(result, wanted):
        return default
    return default.copy_modified(arg_types=[UNKNOWN], ret_type=result, variables=[])


def _items(given: Type) -> Type | None:
    """Type of the layers in a list; None if it is no list of layers."""
    proper = get_proper_type(given)
    if not isinstance(proper, Instance) or proper.type.fullname != _LIST:
        return None
    return proper.args[0] if _is_layer(proper.args[0]) else None


def _is_layer(given: Type) -> bool:
    proper = get_proper_type(given)
    if isinstance(proper, UnionType):
        return all(_is_layer(item) for item in proper.items)
    return isinstance(proper, Instance) and proper.type.has_base(_LAYER_LIKE)

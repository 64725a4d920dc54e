"""Checks of ``before >> after``, in words, and for widths of any number."""

from __future__ import annotations

from mypy.nodes import OpExpr
from mypy.plugin import MethodSigContext
from mypy.types import FunctionLike, Instance, ProperType, get_proper_type

from typegrad.mypy_plugin.construction import check_links
from typegrad.mypy_plugin.reader import Reader
from typegrad.mypy_plugin.widths import UNKNOWN


def check_composition(ctx: MethodSigContext) -> FunctionLike:
    """Compare what the left operand gives with what the right one takes."""
    node, default = ctx.context, ctx.default_signature
    result = get_proper_type(default.ret_type)
    if not isinstance(node, OpExpr) or node.op != ">>" or not isinstance(result, Instance):
        return default
    reader = Reader(ctx.api)
    left: ProperType = get_proper_type(ctx.type)
    before = reader.part(node.left, left)
    after = reader.part(node.right, reader.type_of(node.right))
    if before is None or after is None:
        return default
    parts = [reader.part_of(link) for link in reader.links(node.left)]
    check_links(ctx.api, [*parts, *map(reader.part_of, reader.links(node.right))], node)
    ends = [before.takes.type, (before if after.keeps else after).gives.type]
    return default.copy_modified(
        arg_types=[UNKNOWN], ret_type=result.copy_modified(args=ends), variables=[]
    )

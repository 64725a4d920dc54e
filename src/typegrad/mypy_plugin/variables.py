"""Variables that hold one layer or network after another.

``model = model >> layer`` gives `model` other widths. mypy takes a variable's type from its first
assignment, and would complain of the second. So the first leaves the widths open where there
is a second; mypy itself then knows which one came last. What the first one was is kept for
the lines up to the second.
"""

from __future__ import annotations

from mypy.nodes import Context, Expression, MemberExpr, NameExpr
from mypy.plugin import CheckerPluginInterface
from mypy.types import Instance, ProperType

from typegrad.mypy_plugin.source import source_of
from typegrad.mypy_plugin.widths import UNKNOWN, as_layer


def open_type(api: CheckerPluginInterface, node: Context, exact: Instance) -> Instance:
    """Type of an expression, without widths if it is the first of a variable's several values."""
    found = source_of(api)
    variable = None if found is None else found.variables.get(node)
    if found is None or variable not in found.kinds:
        return exact
    found.types[node] = exact
    # A layer and a chain, say: what they have in common is that they are layers.
    common = exact if len(found.kinds[variable]) == 1 else as_layer(exact)
    return common.copy_modified(args=[UNKNOWN] * len(common.args))


def first_type(api: CheckerPluginInterface, node: Expression, given: ProperType) -> ProperType:
    """Type of an expression, with widths if it stands for the first of several values."""
    found = source_of(api) if isinstance(node, NameExpr | MemberExpr) else None
    if found is None or node not in found.first_values:
        return given
    return found.types.get(found.first_values[node], given)

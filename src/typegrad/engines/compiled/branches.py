"""Branches on values: native code takes the one that was traced, if all data takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from typegrad.data.moments import ROWS_AT_A_TIME
from typegrad.engines.compiled.graph_facts import NotNativeError, known_number, name_of
from typegrad.tracing import Call, Graph, Node, evaluate
from typegrad.tracing.graph import operands
from typegrad.tracing.primitives import Guard, Opaque
from typegrad.types import AnyArray

_OF_EXTREMES = frozenset(
    (comparison, extreme)
    for extreme, comparisons in (
        ("maximum.reduce", ("greater", "greater_equal")),
        ("minimum.reduce", ("less", "less_equal")),
    )
    for comparison in comparisons
)
"""Comparisons of an extreme with a number: false for parts of the data if false for all of it."""


def split_branches(graph: Graph) -> tuple[Graph, Graph]:
    """Split a graph in what it computes, and its conditions as outputs of their own.

    Raises
    ------
    NotNativeError
        If a condition may hold for all data and not for a batch, or the other way round, or if
        it depends on what changes during training.
    """
    conditions: dict[str, Node] = {}
    for guard in graph.calls:
        if not isinstance(guard.function, Guard):
            continue
        condition = guard.arguments[0]
        what = _unknown_beforehand(Graph(_needed(graph, [condition]), {"": condition}, []))
        if guard.function.expected or not _is_false_for_parts(condition):
            what = "values"
        if what is not None:
            raise NotNativeError(f"a branch on {what} in {guard.origin}", guard.origin)
        conditions[str(len(conditions))] = condition
    # What runs as it is written does so even if nobody needs what it makes.
    opaque = (call for call in graph.calls if isinstance(call.function, Opaque))
    updates = (node for _, node in graph.updates)
    computed = _needed(graph, [*graph.outputs.values(), *updates, *opaque])
    branches = Graph(_needed(graph, conditions.values()), conditions, [])
    return Graph(computed, graph.outputs, graph.updates), branches


def _unknown_beforehand(condition: Graph) -> str | None:
    """Say on what a condition depends that is not known before a training."""
    states = [leaf.name for leaf in condition.leaves() if leaf.kind == "state"]
    if states:
        return f"values of {states[0]}"
    return "what runs as it is written" if condition.has(Opaque) else None


def takes_branches(branches: Graph, inputs: Mapping[str, AnyArray]) -> bool:
    """Whether data takes the branches that were traced: some rows at a time, to bound memory.

    A condition holds for all data if it holds for a part; see `split_branches`.
    """
    if not branches.outputs:
        return True
    rows = max(map(len, inputs.values()))
    with np.errstate(all="ignore"):
        for start in range(0, rows, ROWS_AT_A_TIME):
            part = {name: each[start : start + ROWS_AT_A_TIME] for name, each in inputs.items()}
            if any(bool(value) for value in evaluate(branches, part).values()):
                return False
    return True


CodeCheck: TypeAlias = tuple[int, int]
"""Codes, by id, and how many rows they may name."""


def find_code_checks(branches: Graph) -> set[CodeCheck] | None:
    """Return what is asked of codes; None if there are conditions of another kind.

    This is what `as_codes` of operations/lookup.py asks; native lookups can do so themselves.
    """
    found: set[CodeCheck] = set()
    for condition in branches.outputs.values():
        check = _code_check(condition)
        if check is None:
            return None
        found.add(check)
    return found


def _code_check(condition: Any) -> CodeCheck | None:
    """Match ``any(codes != values or codes < 0 or codes >= rows)``."""
    names = ("logical_or.reduce", "bitwise_or", "bitwise_or", "not_equal")
    calls: list[Call] = []
    for name in names:
        if not isinstance(condition, Call) or name_of(condition) != name:
            return None
        calls.append(condition)
        condition = condition.arguments[0]
    whole, both, first, differ = calls
    below, above = first.arguments[1], both.arguments[1]
    codes, values = differ.arguments
    is_check = (
        whole.keywords.get("axis", 0) is None
        and all(isinstance(each, Call) for each in (codes, below, above))
        and (name_of(codes), codes.arguments[0]) == ("astype", values)
        and (name_of(below), *below.arguments) == ("less", codes, 0)
        and (name_of(above), above.arguments[0]) == ("greater_equal", codes)
    )
    return (id(codes), above.arguments[1]) if is_check else None


def _is_false_for_parts(condition: Any) -> bool:
    """Whether a condition that is false for all data is so for any part of it."""
    if not isinstance(condition, Call):
        return False
    if name_of(condition) == "logical_or.reduce":
        return condition.keywords.get("axis", 0) is None
    first, *rest = condition.arguments
    is_known = isinstance(first, Call) and len(rest) == 1 and known_number(rest[0]) is not None
    return is_known and (name_of(condition), name_of(first)) in _OF_EXTREMES


def _needed(graph: Graph, results: Any) -> list[Call]:
    """Return the calls that results are computed from, in the graph's order."""
    wanted = {id(node) for node in results}
    found = []
    for call in reversed(graph.calls):
        if id(call) in wanted or any(id(result) in wanted for result in call.results):
            found.append(call)
            wanted.update(id(node) for node in operands(call))
    return found[::-1]

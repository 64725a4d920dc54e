"""What a file says beyond the expression that a hook is asked about."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from mypy.checker import TypeChecker
from mypy.nodes import (
    AssignmentStmt,
    CallExpr,
    ClassDef,
    Context,
    Expression,
    ForStmt,
    FuncDef,
    ListExpr,
    MemberExpr,
    MypyFile,
    NameExpr,
    Node,
    OperatorAssignmentStmt,
    OpExpr,
    RefExpr,
    Statement,
    SuperExpr,
    TupleExpr,
    Var,
    WhileStmt,
)
from mypy.plugin import CheckerPluginInterface
from mypy.traverser import all_name_and_member_expressions
from mypy.types import Instance

Variable: TypeAlias = Var | tuple[ClassDef, str]
"""A variable, or an attribute of ``self`` in a class."""

_PARTS = ("expr", "subject", "index", "target", "func", "items", "body", "bodies", "defs",
          "handlers", "else_body", "finally_body")  # fmt: skip
"""Attributes of statements that hold what is inside of them, in the order of the lines."""


class Source:
    """Assignments of a file in the order of its lines, and its calls through ``super()``."""

    def __init__(self, tree: MypyFile) -> None:
        self.kinds: dict[Variable, set[str]] = {}
        """How the values of a variable that has several are made."""
        self.variables: dict[Context, Variable] = {}
        """The variable that takes its type from an expression."""
        self.first_values: dict[Expression, Context] = {}
        """The expression that a name stands for, where it can only be the first assigned one."""
        self.types: dict[Context, Instance] = {}
        """Types of first values, with the widths that their variables leave open."""
        self.super_calls: dict[Context, CallExpr] = {}
        """The call through ``super()`` that an expression is an argument of."""
        self.being_read: set[CallExpr] = set()
        """Calls that are being checked; to read their arguments calls the hooks again."""
        self._around: tuple[Node, ...] = ()
        self._first: dict[Variable, tuple[Expression | None, tuple[Node, ...]]] = {}
        self._uses: dict[Variable, list[tuple[Expression, tuple[Node, ...]]]] = {}
        self._read(tree.defs)

    def _read(self, part: object) -> None:
        if isinstance(part, Expression):
            self._used(part)
            if isinstance(part, CallExpr) and isinstance(part.callee, SuperExpr):
                for argument in part.args:
                    self._passed(argument, part)
        elif isinstance(part, list | tuple):
            for each in part:
                self._read(each)
        elif isinstance(part, AssignmentStmt):
            self._used(part.rvalue)
            for target in part.lvalues:
                self._assigned(target, None if part.unanalyzed_type is not None else part.rvalue)
        elif isinstance(part, OperatorAssignmentStmt):
            self._used(part.rvalue)
            self._used(part.lvalue)
            self._assigned(part.lvalue, None, part.op)
        elif isinstance(part, Statement):
            self._read_inside(part)

    def _read_inside(self, statement: Statement) -> None:
        around = self._around
        if isinstance(statement, ForStmt | WhileStmt | FuncDef | ClassDef):
            self._around = (*around, statement)
        if isinstance(statement, ForStmt):
            self._assigned(statement.index, None)
        for name in _PARTS:
            self._read(getattr(statement, name, None))
        self._around = around

    def _used(self, expression: Expression) -> None:
        names, members = all_name_and_member_expressions(expression)
        for use in (*names, *members):
            variable = self._variable(use)
            if variable is not None and self._has_one_value(variable):
                self._uses.setdefault(variable, []).append((use, self._around))

    def _variable(self, use: Expression) -> Variable | None:
        if isinstance(use, NameExpr):
            return use.node if isinstance(use.node, Var) else None
        if isinstance(use, MemberExpr) and isinstance(use.expr, NameExpr):
            owner = use.expr.node
            classes = [node for node in self._around if isinstance(node, ClassDef)]
            if isinstance(owner, Var) and owner.is_self and classes:
                return classes[-1], use.name
        return None

    def _passed(self, argument: Expression, call: CallExpr) -> None:
        self.super_calls[argument] = call
        for item in argument.items if isinstance(argument, ListExpr | TupleExpr) else []:
            self._passed(item, call)

    def _has_one_value(self, variable: Variable) -> bool:
        return variable in self._first and variable not in self.kinds

    def _assigned(self, target: Expression, value: Expression | None, kind: str = "") -> None:
        if isinstance(target, TupleExpr):
            items = value.items if isinstance(value, TupleExpr) else []
            values = items if len(items) == len(target.items) else [None] * len(target.items)
            for name, item in zip(target.items, values, strict=True):
                self._assigned(name, item)
            return
        variable = self._variable(target)
        if variable is None:
            return
        if variable not in self._first:
            self._first[variable] = (value, self._around)
            if value is not None:
                self.variables[value] = variable
            return
        first, start = self._first[variable]
        if self._has_one_value(variable):
            self.kinds[variable] = {_kind(first)}
            self._note_uses_before(variable, first, start)
        self.kinds[variable].add(kind or _kind(value))

    def _note_uses_before(
        self, variable: Variable, first: Expression | None, start: tuple[Node, ...]
    ) -> None:
        """Note where a name surely stands for the first value: loops and functions go back."""
        again = set(self._around).difference(start)
        if first is None or any(isinstance(node, FuncDef) for node in again):
            return
        for use, around in self._uses.pop(variable, []):
            inside = set(around).difference(start)
            if not inside & again and not any(isinstance(node, FuncDef) for node in inside):
                self.first_values[use] = first


def source_of(api: CheckerPluginInterface) -> Source | None:
    """Return what is known of the file that is being checked."""
    return _read(api.tree, tuple(api.tree.defs)) if isinstance(api, TypeChecker) else None


@lru_cache(maxsize=1)
def _read(tree: MypyFile, definitions: tuple[Statement, ...]) -> Source:
    """Read a file; mypy's daemon puts new definitions into the tree it has."""
    return Source(tree)


def _kind(value: Expression | None) -> str:
    if isinstance(value, CallExpr) and isinstance(value.callee, RefExpr):
        return value.callee.fullname
    return value.op if isinstance(value, OpExpr) else ""

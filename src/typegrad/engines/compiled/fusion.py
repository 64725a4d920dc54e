"""Element-wise calls that wait until somebody needs their result, to run as one chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, Union

from typegrad.engines.compiled.chain import SCALAR, VECTOR, Chain, ChainBuilder, Term
from typegrad.engines.compiled.schedule import Place

Value: TypeAlias = Union["Pending", Place]
"""What a call of the graph is turned into."""


@dataclass(eq=False)
class Pending:
    """An element-wise call that has not run yet.

    Attributes
    ----------
    function
        Name in `elementwise.FUNCTIONS`.
    operands
        What it is applied to.
    width
        Floats in a row of the result.
    key
        Id of the graph's call.
    readers
        Ids of the calls that read the result.
    is_row
        Whether it is one row beside all examples, and not one for each.
    has_run
        Whether it has, in some group.
    place
        Where the result lies then, unless its group alone needed it.
    """

    function: str
    operands: tuple[Value, ...]
    width: int
    key: int
    readers: frozenset[int]
    is_row: bool = False
    has_run: bool = False
    place: Place | None = None

    @property
    def is_of_examples(self) -> bool:
        """Whether it has a row for each example."""
        return not self.is_row


@dataclass(frozen=True)
class Group:
    """Pending calls that run together.

    `outputs` are those that somebody outside of the group reads.
    """

    chain: Chain
    inputs: tuple[Place, ...]
    outputs: tuple[Pending, ...]


def make_group(targets: Iterable[Pending]) -> Group:
    """Collect what some results of one width need."""
    members: dict[Pending, None] = {}
    wanted = list(targets)
    for target in wanted:
        _collect(target, members)
    keys = {member.key for member in members}
    outputs = [each for each in members if each in wanted[:1] or not each.readers <= keys]
    inputs = _inputs(members)
    width = wanted[0].width
    builder = ChainBuilder([form_of(place, width) for place in inputs])
    numbers: dict[Value, int] = {place: number for number, place in enumerate(inputs)}
    for member in members:
        terms = [_term(operand, numbers) for operand in member.operands]
        numbers[member] = builder.link(member.function, *terms)
        member.has_run = True
    chain = builder.finish([numbers[output] for output in outputs])
    return Group(chain, tuple(inputs), tuple(outputs))


def form_of(place: Place, width: int) -> str:
    """Tell whether a place gives a row of floats, or one for the whole row."""
    if width == 1:
        return VECTOR if place.form == "column" else SCALAR
    return SCALAR if place.form in ("column", "number") else VECTOR


def _collect(pending: Pending, members: dict[Pending, None]) -> None:
    """Add a call, and before it those that it needs."""
    if pending in members or pending.place is not None:
        return
    for operand in pending.operands:
        if isinstance(operand, Pending):
            _collect(operand, members)
    members[pending] = None


def _inputs(members: Iterable[Pending]) -> list[Place]:
    found: dict[Place, None] = {}
    for member in members:
        for operand in member.operands:
            place = operand.place if isinstance(operand, Pending) else operand
            if place is not None and place.value is None:
                found[place] = None
    return list(found)


def _term(operand: Value, numbers: Mapping[Value, int]) -> Term:
    if isinstance(operand, Pending) and operand.place is not None:
        operand = operand.place
    if isinstance(operand, Place) and operand.value is not None:
        return operand.value
    return numbers[operand]

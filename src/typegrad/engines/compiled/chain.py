"""Chains: element-wise formulas that run as one loop, with all that lies between in registers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Term: TypeAlias = int | float
"""Operand of a link: the number of an input or link (int), or a constant (float)."""

VECTOR, SCALAR = "v", "s"


@dataclass(frozen=True)
class Chain:
    """A formula of element-wise functions.

    Attributes
    ----------
    forms
        A letter for each input: ``v``, a row of floats; ``s``, one float for the whole row.
    links
        Function and terms of each step. Inputs have the numbers from 0 on, links those after.
    outputs
        Numbers of the inputs and links that are written.
    checked
        Numbers of those that should be finite: the native function returns 1 if one is not.
    """

    forms: str
    links: tuple[tuple[str, tuple[Term, ...]], ...]
    outputs: tuple[int, ...]
    checked: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name of its native function: the same formula has the same one."""
        text = repr((self.forms, self.links, self.outputs, self.checked))
        return "chain_" + hashlib.sha256(text.encode()).hexdigest()[:32]


def copying(form: str) -> Chain:
    """Return the chain that copies its input."""
    builder = ChainBuilder(form)
    return builder.finish([builder.link("copy", 0)])


class ChainBuilder:
    """Collects the links of a chain; equal ones are taken once."""

    def __init__(self, forms: Sequence[str]) -> None:
        self._forms = "".join(forms)
        self._links: list[tuple[str, tuple[Term, ...]]] = []
        self._known: dict[str, int] = {}

    def link(self, function: str, *terms: Term) -> int:
        """Add a step; return its number."""
        key = repr((function, terms))
        if key not in self._known:
            self._links.append((function, terms))
            self._known[key] = len(self._forms) + len(self._links) - 1
        return self._known[key]

    def finish(self, outputs: Sequence[int], checked: Sequence[int] = ()) -> Chain:
        """Return the chain that writes some numbers, and checks some."""
        return Chain(self._forms, tuple(self._links), tuple(outputs), tuple(checked))

"""The page of operations lists every operation, and says rightly who agrees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .checks import Call
from .row import Peer
from .table import ROWS

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
LINE = re.compile(r"^\| `(\w+)` \| (.+) \| (.*) \| (.*) \|$", re.MULTILINE)
LINES = {line[1]: line for line in LINE.finditer(PAGE.read_text(encoding="utf-8"))}
ROWS_OF = {
    name: [row for row in ROWS if type(Call(row, row.samples[0]).operation).__name__ == name]
    for name in {type(Call(row, row.samples[0]).operation).__name__ for row in ROWS}
}


def agrees(name: str, peer: Peer) -> bool:
    """Whether the library has the function, and gives the same at every kink of the table."""
    rows = [row for row in ROWS_OF[name] if getattr(row, peer) is not None]
    return bool(rows) and all(peer in kink.agrees for row in rows for kink in row.kinks)


def test_every_operation_has_one_line() -> None:
    names = [line[1] for line in LINE.finditer(PAGE.read_text(encoding="utf-8"))]
    assert sorted(names) == sorted(ROWS_OF)


@pytest.mark.parametrize("name", sorted(ROWS_OF))
def test_the_libraries_named_are_those_of_the_table(name: str) -> None:
    peers: list[tuple[Peer, str]] = [("torch", "PyTorch"), ("jax", "JAX")]
    assert LINES[name][4] == ", ".join(title for peer, title in peers if agrees(name, peer))


@pytest.mark.parametrize("name", sorted(ROWS_OF))
def test_the_page_says_where_a_library_differs(name: str) -> None:
    peers: list[tuple[Peer, str]] = [("torch", "PyTorch"), ("jax", "JAX")]
    for peer, title in peers:
        differs = any(
            getattr(row, peer) is not None and peer not in kink.agrees
            for row in ROWS_OF[name]
            for kink in row.kinks
        )
        assert (f"{title}:" in LINES[name][3]) == differs

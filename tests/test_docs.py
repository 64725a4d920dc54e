"""The code in the readme and in the documentation runs as it stands."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def code_of(page: Path) -> str:
    """Return all Python blocks of a page as one program, at their own line numbers."""
    text = page.read_text(encoding="utf-8")
    program = ""
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))
        program += "\n" * (line - program.count("\n")) + block.group(1)
    return program


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with resources.as_file(resources.files("typegrad.datasets") / "concrete.csv") as data:
        shutil.copy(data, tmp_path / "concrete.csv")
    exec(compile(code_of(page), str(page), "exec"), {"__name__": "__main__"})


def test_blocks_are_found() -> None:
    assert "class Softsign" in code_of(ROOT / "docs" / "extending.md")

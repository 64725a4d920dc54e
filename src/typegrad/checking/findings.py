"""Finding: something to say about a line of a user's file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something to say about a line; written as mypy writes it."""

    file: str
    line: int
    column: int
    """Counted from 1, as the line is; 1 where only the line is known."""
    severity: Severity
    code: str
    """mypy's error code, ``"layer-size"``, ``"import"``, ``"construction"`` or ``"outputs"``;
    empty for mypy's notes."""
    message: str

    def __str__(self) -> str:
        code = f"  [{self.code}]" if self.code else ""
        return f"{self.file}:{self.line}: {self.severity}: {self.message}{code}"

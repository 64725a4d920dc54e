"""The cases are programs for type checkers; only `test_typing.py` runs them."""

from __future__ import annotations

collect_ignore = ["right", "wrong"]

"""Native code for processors with fewer features than this machine's."""

from __future__ import annotations

import pytest

from typegrad.engines.compiled import library as library_module
from typegrad.engines.compiled.library import Library

from .targets import target_called

_LIBRARIES: dict[str, dict[int, Library]] = {}
"""By the target's name: what a process loaded once serves all of its tests."""


@pytest.fixture(params=["host", "avx2", pytest.param("sse2", marks=pytest.mark.slow)])
def every_target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test in this machine's native code, and in that of narrower vectors."""
    target = target_called(request.param)
    if target is None:
        pytest.skip(f"this machine does not run code for {request.param}")
    if request.param != "host":
        monkeypatch.setattr(library_module, "host", lambda: target)
        known = _LIBRARIES.setdefault(request.param, {})
        monkeypatch.setattr(library_module, "_libraries", known)

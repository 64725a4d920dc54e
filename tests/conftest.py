"""What all tests rely on."""

from __future__ import annotations

import signal

import pytest

# A process that was started in the background ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def _many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small batches have several chunks and threads in native code."""
    network_code = "typegrad.engines.compiled.network_code"
    monkeypatch.setattr(f"{network_code}.WORK_PER_THREAD", 1)
    monkeypatch.setattr(f"{network_code}.ROWS_PER_CHUNK", 8)

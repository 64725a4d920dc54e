"""What the command line prints, and how it fails."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TextIO

from typegrad.errors import TypegradError


class CommandError(TypegradError):
    """The command line asks for something that cannot be done."""


def say(text: str) -> None:
    """Print to stdout; once nobody reads it, go on in silence: work is not lost with a reader."""
    _write(sys.stdout, text + "\n")


def complain(text: str) -> None:
    """Print one line to stderr."""
    _write(sys.stderr, f"typegrad: {' '.join(text.split())}\n")


def tolerate_any_text() -> None:
    """Let characters that the terminal's encoding lacks be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream put in place by a caller
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # What is still buffered would fail again when Python closes the stream.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())

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
    """Print to stdout; once nobody reads it, go on in silence: work is not lost with a reader.

    Raises
    ------
    CommandError
        If it cannot be written for another reason, such as a full disk.
    """
    try:
        _write(sys.stdout, text + "\n")
    except OSError as error:
        raise CommandError(f"stdout cannot be written: {error.strerror or error}") from error


def complain(text: str) -> None:
    """Print one line to stderr; the exit status tells where it cannot be written."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, f"typegrad: {' '.join(text.split())}\n")


def tolerate_any_text() -> None:
    """Let characters that the terminal's encoding lacks be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream put in place by a caller
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # Python's way to say that the process was started with it closed
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # What is still buffered would fail again when Python closes the stream.
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise

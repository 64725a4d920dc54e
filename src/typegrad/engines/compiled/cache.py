"""Compiled code on disk, so that each processor compiles a function once."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

_DIGEST_BYTES = 32


def cache_folder() -> Path:
    """Return the platform's folder for what can be made anew: typegrad's part of it."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "typegrad"


class CodeCache:
    """Object files by name, in a folder for one processor and version.

    Several processes may use it at once: a file appears complete or not at all. A damaged
    one counts as missing.

    Parameters
    ----------
    key
        Names the folder: all that compiled code depends on.

    Attributes
    ----------
    problem : OSError or None
        Why code could not be kept, such as a full disk; code is then compiled anew by the
        next process.
    """

    def __init__(self, key: str) -> None:
        self.folder = cache_folder() / key
        self.problem: OSError | None = None

    def load(self, name: str) -> bytes | None:
        """Return the code of this name; None if there is none."""
        try:
            content = self._path(name).read_bytes()
        except OSError:
            return None
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return code if hashlib.sha256(code).digest() == digest else None

    def save(self, name: str, code: bytes) -> None:
        """Keep code for later processes, if the disk takes it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                Path(temporary).replace(self._path(name))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as problem:
            self.problem = problem

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.o"

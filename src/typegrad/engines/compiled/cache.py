"""Compiled code on disk, so that each processor compiles a function once."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_DIGEST_BYTES = 32

MOST_FILES = 4000
"""Files of a folder: hyper-parameters are part of the code, and so a search makes many."""

MOST_FOLDERS = 4
"""Folders of other processors and versions, the newest ones, that are kept."""


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
    one counts as missing. What was not used for longest makes room where files become too many.

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
        self.folder: Path = cache_folder() / key
        self.problem: OSError | None = None

    def load(self, name: str) -> bytes | None:
        """Return the code of this name; None if there is none."""
        try:
            content = self._path(name).read_bytes()
        except OSError:
            return None
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(code).digest() != digest:
            return None
        with suppress(OSError):  # a folder that may only be read
            os.utime(self._path(name))
        return code

    def save(self, name: str, code: bytes) -> None:
        """Keep code for later processes, if the disk takes it."""
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._remove_old_folders()
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(code).digest() + code)
                Path(temporary).replace(self._path(name))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            self._remove_old_files()
        except OSError as problem:
            self.problem = problem

    def contents(self) -> tuple[int, int]:
        """Return how many files there are, and their bytes."""
        sizes = [path.stat().st_size for path in self.folder.glob("*.o")]
        return len(sizes), sum(sizes)

    def _remove_old_files(self) -> None:
        if len(list(self.folder.iterdir())) > MOST_FILES:
            for path in _newest_first(self.folder.iterdir())[MOST_FILES // 2 :]:
                path.unlink(missing_ok=True)

    def _remove_old_folders(self) -> None:
        others = (path for path in self.folder.parent.iterdir() if path.is_dir())
        for path in _newest_first(others)[1 + MOST_FOLDERS :]:
            shutil.rmtree(path, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.o"


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    """Sort by the time of the last use; what another process has just removed is left out."""
    times = []
    for path in paths:
        with suppress(OSError):
            times.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(times, reverse=True)]

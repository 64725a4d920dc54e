"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from os import PathLike
from pathlib import Path

from typegrad.errors import DataError


def check_writable(path: str | PathLike[str]) -> Path:
    """Check, before the work that fills it, that a file can be written; return its path.

    Raises
    ------
    DataError
        If its directory is missing or may not be written to, or a directory has its name.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise DataError(f"{file} is a directory; give the name of a file in it")
        if reason := _obstacle(file):
            raise DataError(f"{file} cannot be written: {reason}")
    except OSError as error:  # the name itself, such as one that is too long
        raise DataError(f"{file} cannot be written: {error.strerror}") from error
    return file


def _obstacle(file: Path) -> str | None:
    folder = file.parent
    if not folder.exists():
        return f"there is no directory {folder}"
    if not folder.is_dir():
        return f"{folder} is not a directory"
    may_write = os.access(file if _is_special(file) else folder, os.W_OK)
    return None if may_write else "permission denied"


def write_whole(path: str | PathLike[str], data: bytes) -> None:
    """Write a file so that it has all of `data`, or what it had before.

    The data goes to a new file beside it, which then takes its name. Devices and pipes
    are written to directly.

    Raises
    ------
    DataError
        If the file cannot be written; says why.
    """
    file = check_writable(path)
    try:
        if _is_special(file):
            file.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(file)), data)
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}") from error


def _is_special(file: Path) -> bool:
    return file.exists() and not file.is_file()


def _replace(file: Path, data: bytes) -> None:
    # The name keeps within a file system's limit whatever the file's own length.
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)

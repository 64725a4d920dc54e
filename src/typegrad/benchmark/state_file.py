"""Where a long benchmark keeps what it has measured, so that it can be continued.

A text file of JSON values, one a line: the first tells what is benchmarked, each further one
has what a cell gave. A line is on the disk before the next cell begins; a line that is cut off,
because the machine went down while it was written, is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from typegrad.benchmark.measurements import Measurements
from typegrad.errors import DataError
from typegrad.output_files import check_writable, write_whole

_FORMAT = "typegrad benchmark of batch sizes, version 1"


class Store:
    """What was measured so far, in memory and, if there is a path, in a file.

    Parameters
    ----------
    path
        Of the file; None keeps everything in memory alone.
    identity
        What a run must have in common with the one that it continues, by name.
    resume
        Whether to go on with what the file has, if there is one.

    Raises
    ------
    DataError
        If the file cannot be written, is there already without `resume`, is no such file, or
        is of a benchmark of something else; says what differs.
    """

    def __init__(
        self, path: str | PathLike[str] | None, identity: Mapping[str, Any], *, resume: bool
    ) -> None:
        self.measurements: Measurements = Measurements()
        self._path = None if path is None else check_writable(path)
        if self._path is None:
            return
        # What JSON makes of it: tuples become lists.
        header = {"format": _FORMAT, "identity": json.loads(json.dumps(dict(identity)))}
        lines = [json.dumps(header)]
        if self._path.exists():
            if not resume:
                raise DataError(
                    f"{self._path} is there already: resume that benchmark (resume=True, "
                    "--resume), or remove the file to begin anew"
                )
            lines += self._read(self._path, header)
        write_whole(self._path, ("\n".join(lines) + "\n").encode())

    def add(self, measured: Measurements) -> None:
        """Keep what a cell gave."""
        self.measurements.absorb(measured)
        if self._path is None:
            return
        line = json.dumps(measured.to_dict()) + "\n"
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DataError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def _read(self, path: Path, header: Mapping[str, Any]) -> list[str]:
        """Take over what a file has; return its lines after the first."""
        first, *lines = path.read_text(encoding="utf-8").split("\n")
        found = _parsed(first)
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise DataError(f"{path} is not a file that this version's benchmark has written")
        if differences := _differences(found["identity"], header["identity"]):
            raise DataError(
                f"{path} is of another benchmark, it cannot be continued: {'; '.join(differences)}"
            )
        complete = []
        for line in lines:
            described = _parsed(line)
            if described is not None:
                self.measurements.absorb(Measurements.from_dict(described))
                complete.append(line)
        return complete


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = [*before, *(name for name in now if name not in before)]
    return [
        f"{name} was {_short(before.get(name))}, is {_short(now.get(name))}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

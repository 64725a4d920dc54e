"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from typegrad.errors import DataError
from typegrad.output_files import check_writable, write_whole


def test_a_new_file_and_its_replacement(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_whole(file, b"one")
    assert file.read_bytes() == b"one"
    write_whole(str(file), b"two")
    assert file.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [file]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "ours", b"")
    (tmp_path / "other").write_bytes(b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "other")]
    assert modes[0] == modes[1]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_the_longest_name(tmp_path: Path) -> None:
    file = tmp_path / ("x" * 255)
    write_whole(file, b"1")
    assert file.read_bytes() == b"1"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"through")
    reader.join(timeout=10)
    assert heard == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path, reason in (
        (tmp_path, "is a directory; give the name of a file in it"),
        (tmp_path / "none" / "a", f"cannot be written: there is no directory {tmp_path / 'none'}"),
        (tmp_path / "file" / "a", f"cannot be written: {tmp_path / 'file'} is not a directory"),
        (tmp_path / ("x" * 256), "cannot be written: File name too long"),
    ):
        with pytest.raises(DataError) as error:
            write_whole(path, b"")
        assert str(error.value) == f"{path} {reason}"


def test_a_directory_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not bind the superuser, so what the system says is replaced.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match="a cannot be written: permission denied"):
        check_writable(tmp_path / "a")

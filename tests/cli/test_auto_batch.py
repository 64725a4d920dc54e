"""``typegrad train --batch-size auto``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from typegrad.cli import main
from typegrad.serialization import load_checkpoint


@pytest.fixture(autouse=True)
def _in_a_fresh_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_says_what_was_chosen_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--epochs", "2", "--hidden", "4", "--seed", "0", "--batch-size", "auto"]
    assert main(command) == 0
    told = re.search(
        r"^Batch size (\d+): the gradient noise scale is about \d+ rows; steps take .* rows\.$",
        capsys.readouterr().out,
        re.MULTILINE,
    )
    assert told is not None
    history = load_checkpoint("model.safetensors").history
    assert history is not None
    assert history.batch_size == int(told.group(1))
    assert history.batch_choice is not None


@pytest.mark.parametrize("size", ["0", "many", "2.5"])
def test_what_is_no_size(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--batch-size", size]) == 2
    assert (
        f"argument --batch-size: '{size}' is not a whole number of 1 or more, or auto"
        in capsys.readouterr().err
    )

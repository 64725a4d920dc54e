"""Descriptions of the machine, and how steady it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark import machine
from typegrad.benchmark.machine import Reference, describe_machine, noise_warning, spread


def test_a_steady_machine_gets_no_warning() -> None:
    generator = np.random.default_rng(0)
    assert noise_warning(generator.normal(1.0, 0.02, 40).tolist()) is None


def test_spread_is_noticed() -> None:
    seconds = [1.0, 1.0, 1.4, 1.5] * 10
    warning = noise_warning(seconds)
    assert warning is not None
    assert warning.startswith(
        "The machine was not steady: times of one and the same matrix product were spread by 35% "
        "(half of them lay within that), and changed by 0% from the first half"
    )


def test_drift_is_noticed() -> None:
    warning = noise_warning([1.0] * 20 + [1.14] * 20)
    assert warning is not None
    assert "changed by 14% from the first half of the measurement to the second" in warning


def test_one_outlier_is_not_noise() -> None:
    assert noise_warning([1.0] * 19 + [50.0]) is None


def test_spread_is_that_of_the_quartiles() -> None:
    assert spread(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(2.0 / 3.0)


def test_the_reference_is_a_product_of_matrices() -> None:
    reference = Reference(np.dtype(np.float32))
    reference()
    np.testing.assert_allclose(reference.out, reference.left @ reference.right, rtol=1e-4)
    assert reference.operations % (2 * machine.REFERENCE_SIZE**3) == 0


def test_the_description_has_what_a_repetition_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    described = describe_machine()
    assert {"processor", "cores", "system", "date", "command"} <= described.keys()
    assert f"typegrad {tg.__version__}" in described["versions"]
    assert f"numpy {np.__version__}" in described["versions"]
    assert described["OMP_NUM_THREADS"] == "3"
    assert len(described["commit"]) == 40
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], cwd=tmp_path, check=True)
    assert describe_machine()["commit"].endswith(" and changes")


def test_outside_of_a_repository_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "commit" not in describe_machine()

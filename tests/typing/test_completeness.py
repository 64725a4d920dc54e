"""All that is public has a type that checkers need not guess, and which is the one at run time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    source = str(ROOT / "src")
    # pyright asks the `python` that it finds where packages are.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": source, "MYPYPATH": source, "PATH": path}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=environment,
    )


@pytest.mark.slow
def test_every_public_symbol_has_a_known_type() -> None:
    result = run("pyright", "--verifytypes", "typegrad", "--ignoreexternal", "--outputjson")
    report: dict[str, Any] = json.loads(result.stdout)["typeCompleteness"]
    guessed = [
        symbol["name"]
        for symbol in report["symbols"]
        if symbol["isExported"] and not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"])
    ]
    assert guessed == []
    assert report["completenessScore"] == 1.0
    assert report["exportedSymbolCounts"]["withKnownType"] > 2000


@pytest.mark.slow
def test_types_are_those_at_run_time() -> None:
    allowed = str(HERE / "stubtest_allowlist.txt")
    result = run("mypy.stubtest", "typegrad", "--mypy-config-file", "mypy.ini", "--concise",
                 "--allowlist", allowed)  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr

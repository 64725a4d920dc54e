"""What type checkers say about right and wrong programs, and what happens when these run.

A comment ``# E[who, ...]: text`` in `wrong` expects an error of those checkers at the next
line of code, whose message holds the text. ``types`` is every checker, ``plain`` is mypy without
the plugin alone, ``run`` is Python.
Where nothing is expected, nothing may be reported.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "src"
CASES = sorted(HERE.glob("[rw]*/*.py"))
EXPECTED = re.compile(r"# E\[([a-z, ]+)\](?:: (.*))?$")


@dataclass(frozen=True)
class Finding:
    """An error at a line."""

    file: str
    line: int
    text: str


def expected_of(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, checker and text of all that a file expects."""
    waiting: list[tuple[str, str]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        comment = EXPECTED.search(line)
        if comment is not None:
            for who in comment.group(1).split(", "):
                waiting.append((who, comment.group(2) or ""))
        elif line.strip():
            for who, text in waiting:
                yield number, who, text
            waiting = []


def run(folder: Path, *command: str) -> str:
    """Output of a checker in a folder, which knows typegrad's source."""
    environment = {"MYPYPATH": str(SOURCE), "PYTHONPATH": str(SOURCE)}
    result = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | environment,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return result.stdout


def parsed(output: str, pattern: str) -> list[Finding]:
    """Findings in lines such as ``wrong/data.py:12: error: text``."""
    found = [re.match(pattern, line) for line in output.splitlines()]
    return [
        Finding(Path(match["file"]).name, int(match["line"]), match["text"])
        for match in found
        if match is not None
    ]


def by_mypy(folder: Path, plugin: str = "") -> list[Finding]:
    (folder / "mypy.ini").write_text(f"[mypy]\nstrict = True\npython_version = 3.11\n{plugin}\n")
    output = run(folder, sys.executable, "-m", "mypy", "right", "wrong")
    return parsed(output, r"(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)")


def by_plugin(folder: Path) -> list[Finding]:
    return by_mypy(folder, "plugins = typegrad.mypy_plugin")


def by_pyright(folder: Path) -> list[Finding]:
    settings = {
        "extraPaths": [str(SOURCE)],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
        "reportUnusedClass": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    options = ("--pythonpath", sys.executable, "--outputjson")
    output = run(folder, sys.executable, "-m", "pyright", *options)
    return [
        Finding(Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"])
        for each in json.loads(output)["generalDiagnostics"]
        if each["severity"] == "error"
    ]


def by_ty(folder: Path) -> list[Finding]:
    options = ("--output-format", "concise", "--color", "never", "--python", sys.prefix)
    output = run(folder, "ty", "check", *options, "--extra-search-path", str(SOURCE))
    return parsed(output, r"(?P<file>[^:]+):(?P<line>\d+):\d+: error\[(?P<text>.*)")


def by_pyrefly(folder: Path) -> list[Finding]:
    (folder / "pyrefly.toml").write_text("")
    options = ("--preset", "default", "--output-format", "min-text")
    output = run(folder, "pyrefly", "check", *options, "--search-path", str(SOURCE))
    return parsed(output, r"ERROR (?P<file>[^:]+):(?P<line>\d+):[\d:-]+ (?P<text>.*)")


CHECKS: dict[str, Callable[[Path], list[Finding]]] = {
    "mypy": by_mypy,
    "plugin": by_plugin,
    "pyright": by_pyright,
    "ty": by_ty,
    "pyrefly": by_pyrefly,
}


def is_expected_of(who: str, checker: str) -> bool:
    """Tell whether a comment for `who` is about a checker; the plugin is mypy and more."""
    mypys = {"mypy": ("mypy", "plain"), "plugin": ("mypy", "plugin")}
    return who == "types" or who in mypys.get(checker, (checker,))


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Finding]]:
    """What a checker reports of all cases; each checker runs once."""

    @functools.cache
    def found_by(checker: str) -> list[Finding]:
        directory = tmp_path_factory.mktemp(checker)
        for folder in ("right", "wrong"):
            ignored = shutil.ignore_patterns("__*")
            shutil.copytree(HERE / folder, directory / folder, ignore=ignored)
        return CHECKS[checker](directory)

    return found_by


@pytest.mark.parametrize("checker", CHECKS)
def test_checkers_report_the_mistakes_and_nothing_else(
    checker: str, findings: Callable[[str], list[Finding]]
) -> None:
    if checker in ("ty", "pyrefly") and shutil.which(checker) is None:
        pytest.skip(f"{checker} is not installed")
    found = findings(checker)
    expected = [
        (path.name, line, text if who in (checker, "plain") else "")
        for path in CASES
        for line, who, text in expected_of(path)
        if is_expected_of(who, checker)
    ]
    places = {(name, line) for name, line, _ in expected}
    reported = {(each.file, each.line): each.text for each in found}
    assert reported.keys() - places == set(), "reported where nothing is wrong"
    assert places - reported.keys() == set(), "not reported"
    for name, line, text in expected:
        said = [each.text for each in found if (each.file, each.line) == (name, line)]
        assert any(text in each for each in said), (name, line, said)


def functions(path: Path) -> dict[str, Callable[[], None]]:
    """Cases in a file: its functions without arguments and without a result."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType)
        and value.__module__ == module.__name__
        and value.__code__.co_argcount == 0
    }


def cases(folder: str) -> list[tuple[str, str]]:
    """File and name of each case."""
    return [
        (str(path.relative_to(HERE)), name)
        for path in CASES
        if path.parent.name == folder
        for name in functions(path)
    ]


@pytest.mark.parametrize(("file", "name"), cases("right"))
def test_right_programs_run(file: str, name: str) -> None:
    functions(HERE / file)[name]()


def expectations(file: str, name: str) -> dict[str, tuple[int, str]]:
    """Line and text that a case expects of each checker, and of Python as ``run``."""
    path = HERE / file
    first = functions(path)[name].__code__.co_firstlineno
    lines = path.read_text(encoding="utf-8").splitlines()
    length = next((n for n, line in enumerate(lines[first:]) if re.match(r"\S", line)), len(lines))
    inside = [
        (who, line, text)
        for line, who, text in expected_of(path)
        if first <= line <= first + length
    ]
    assert len([who for who, _, _ in inside if who == "run"]) == 1
    return {who: (line, text) for who, line, text in inside}


def exception_of(file: str, name: str) -> BaseException:
    """Run a wrong program."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        functions(HERE / file)[name]()
    return caught.value


@pytest.mark.parametrize(("file", "name"), cases("wrong"))
def test_wrong_programs_fail_with_the_words_they_promise(file: str, name: str) -> None:
    assert expectations(file, name)["run"][1] in str(exception_of(file, name))


def test_the_plugin_and_python_use_the_same_words(
    findings: Callable[[str], list[Finding]],
) -> None:
    """Apart from what one of them does not know: rows, inner layers, the names of widths."""
    widths = {"Rooms": "13", "Hidden": "32"}
    compared = 0
    for file, name in cases("wrong"):
        line, _ = expectations(file, name).get("plugin", (0, ""))
        for finding in findings("plugin"):
            if (finding.file, finding.line) != (Path(file).name, line):
                continue
            words = finding.text.removesuffix("  [layer-size]")
            for width, number in widths.items():
                words = re.sub(rf"\b{width}\b", number, words)
            pattern = re.escape(words).replace(r"\(n,", r"\(\d+,")
            pattern = re.sub(r"(\w+\\\()?\\\.\\\.\\\.(\\\))?", ".+", pattern)
            assert re.search(f"^{pattern}$", str(exception_of(file, name))), words
            compared += 1
    assert compared >= 25


def table() -> str:
    """Lay out which checker finds which mistake, and what the program does without one."""
    checkers = tuple(CHECKS)
    heads = ("mistake", "mypy", "and the plugin", "pyright", "ty", "pyrefly", "Python raises")
    rows = [heads, ("---",) * len(heads)]
    for file, name in cases("wrong"):
        expected = expectations(file, name)
        line = (HERE / file).read_text(encoding="utf-8").splitlines()[expected["run"][0] - 1]
        late = re.search(r"\.(forward|backward|predict|evaluate|fit)\(|absolute_percentage", line)
        found = [any(is_expected_of(who, checker) for who in expected) for checker in checkers]
        mistake = (functions(HERE / file)[name].__doc__ or "").rstrip(".")
        marks = ["✓" if each else "" for each in found]
        rows.append((mistake, *marks, "when called" if late else "when built"))
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def test_the_documentation_shows_what_is_found() -> None:
    shown = (ROOT / "docs" / "typing.md").read_text(encoding="utf-8")
    assert re.sub(r"\| +(?=\|)", "| ", table()) in re.sub(r"\| +(?=\|)", "| ", shown)


def test_there_are_cases_enough() -> None:
    assert len(cases("wrong")) >= 60
    assert len(cases("right")) >= 35

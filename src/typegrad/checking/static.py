"""What mypy says of a file, with typegrad's plugin."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from typegrad._version import __version__
from typegrad.checking.findings import Finding
from typegrad.errors import StateError, import_extra

_PLUGIN = "typegrad.mypy_plugin"
_LINE = re.compile(
    r"(?P<file>.+?):(?:(?P<line>\d+):)?(?:(?P<column>\d+):)? "
    r"(?P<severity>error|warning|note): (?P<message>.*?)(?:  \[(?P<code>[\w-]+)\])?"
)


def check_types(target: Sequence[str]) -> list[Finding]:
    """Run mypy with the plugin.

    mypy's own configuration, where the working directory has one, stays in force. Where there
    is none, functions without annotations are checked too, and what imported packages lack in
    types is passed over. The cache lies in the user's directory of caches, unless the
    configuration names the plugin.

    Parameters
    ----------
    target
        What mypy is called with: a file, or ``-m`` and a module.

    Raises
    ------
    MissingExtraError
        If mypy is not installed.
    StateError
        If mypy cannot run, because of its configuration for example.
    """
    main = import_extra("mypy.main", "check", "Checking types")
    said = io.StringIO()
    try:
        sources, options = main.process_options(list(target), stdout=said, stderr=said)
    except SystemExit:
        raise StateError(f"mypy cannot run: {said.getvalue().strip()}") from None
    _adjust(options)
    build: Any = import_module("mypy.build")
    compile_error: Any = import_module("mypy.errors").CompileError
    plugins = [] if _PLUGIN in options.plugins else [_new_plugin(options)]
    try:
        lines = build.build(
            sources, options, stdout=said, stderr=said, extra_plugins=plugins
        ).errors
    except compile_error as error:
        lines = error.messages
    matches = [_LINE.fullmatch(line) for line in lines]
    findings = [_finding(match) for match in matches if match is not None]
    if len(findings) < len(lines) or any(each.file == options.config_file for each in findings):
        raise StateError(f"mypy cannot run: {' '.join(lines)}")
    return findings


def _adjust(options: Any) -> None:
    options.show_column_numbers = True
    options.hide_error_codes = options.show_error_end = options.show_error_context = False
    options.pretty = options.show_error_code_links = False
    options.output = None
    if options.config_file is None:
        options.check_untyped_defs = options.ignore_missing_imports = True
        options.follow_imports = "silent"
    if _PLUGIN not in options.plugins:
        # What mypy found without the plugin would otherwise be taken for what it finds with it.
        options.cache_dir = str(_cache_directory())


def _new_plugin(options: Any) -> Any:
    return import_module(_PLUGIN).plugin("")(options)


def _cache_directory() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given else Path.home() / ".cache") / "typegrad" / f"mypy-{__version__}"


def _finding(match: re.Match[str]) -> Finding:
    severity: Any = match["severity"]
    line, column = int(match["line"] or 1), int(match["column"] or 1)
    return Finding(match["file"], line, column, severity, match["code"] or "", match["message"])

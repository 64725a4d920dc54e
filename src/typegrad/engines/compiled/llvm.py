"""LLVM through llvmlite, an optional extra: imported when one of these names is first used.

`ir` writes code, `binding` compiles it, `VERSION` is llvmlite's; `I1`, `I32`, `I64`, `DOUBLE`
and `VOID` are types. llvmlite has no types for checkers, so all are `Any`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from typegrad.errors import import_extra


def _load(name: str) -> Any:
    return import_extra(f"llvmlite{name}", "fast", "The compiled engine")


_MAKERS: Mapping[str, Callable[[], Any]] = {
    "ir": lambda: _load(".ir"),
    "binding": lambda: _load(".binding"),
    "VERSION": lambda: _load("").__version__,
    "I1": lambda: _load(".ir").IntType(1),
    "I32": lambda: _load(".ir").IntType(32),
    "I64": lambda: _load(".ir").IntType(64),
    "DOUBLE": lambda: _load(".ir").DoubleType(),
    "VOID": lambda: _load(".ir").VoidType(),
}


def __getattr__(name: str) -> Any:
    if name not in _MAKERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = _MAKERS[name]()
    return value

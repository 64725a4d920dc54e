"""The command ``typegrad warmup``."""

from __future__ import annotations

from typing import Any

from typegrad.cli.console import CommandError, say
from typegrad.errors import import_extra
from typegrad.warming import warmup


def run_warmup(options: Any) -> int:
    """Compile what is commonly used; say where it is, how large, and how long it took."""
    import_extra("llvmlite", "fast", "The compiled engine")  # before anything is announced
    say("compiling native code for this processor; half a minute at most")
    done = warmup()
    if done.problem is not None:
        raise CommandError(f"{done.folder} cannot be written: {done.problem}")
    new = f"{done.compiled} of them new, " if done.compiled else "all there already, "
    say(f"{done.files} files, {new}{done.size / 1e6:.1f} MB, {done.seconds:.1f} s")
    say(f"in {done.folder}")
    return 0

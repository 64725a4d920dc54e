"""The command ``typegrad``: train, predict, evaluate, info, bench, check, warmup."""

from __future__ import annotations

from collections.abc import Sequence

from typegrad.cli.console import complain, tolerate_any_text
from typegrad.errors import TypegradError

__all__ = ["main"]

FAILED, INTERRUPTED = 2, 130
"""Exit statuses."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    Parameters
    ----------
    arguments
        Those of the process if None.

    Returns
    -------
    int
        0 if all went well; 1 if ``check`` found an error; 2 after one line on stderr that says
        what is wrong and where; 130 after Ctrl-C, with what was learned so far saved.
    """
    tolerate_any_text()
    try:
        # Late, so that Ctrl-C is heard while NumPy is loading, too.
        from typegrad.cli.commands import run

        return run(arguments)
    except KeyboardInterrupt:
        return _interrupted()
    except TypegradError as error:
        complain(str(error))
    except MemoryError as error:
        complain(f"there is not enough memory: {error}")
    except RuntimeError as error:
        # Python 3.11 makes one of what comes while a class is made, as when NumPy is loading.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return _interrupted()
    return FAILED


def _interrupted() -> int:
    complain("interrupted; nothing was written")
    return INTERRUPTED

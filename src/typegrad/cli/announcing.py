"""Says when native code is compiled, since that takes a while."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from typegrad.cli.console import complain
from typegrad.engines.compiled.library import COMPILING


@contextlib.contextmanager
def announcing_compilation() -> Iterator[None]:
    """Print on stderr, meanwhile, that native code is compiled."""
    logger, handler = logging.getLogger("typegrad"), _Announcer()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


class _Announcer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(COMPILING):
            complain(record.getMessage())

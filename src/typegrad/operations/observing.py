"""Observers: functions that see every operation as it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from typegrad.types import Array

if TYPE_CHECKING:
    from typegrad.operations.base import Operation

Observer = Callable[["Operation", str, tuple[Array, ...], Array], None]
"""Called as ``observer(operation, "forward" | "backward", inputs, result)``."""

current_observer: ContextVar[Observer | None] = ContextVar("operation_observer", default=None)


@contextmanager
def observe_operations(observer: Observer) -> Iterator[None]:
    """Let `observer` see every operation that runs inside the ``with`` block.

    It is called after each ``forward`` (inputs, output) and for each gradient that
    ``backward`` computes ((output_grad,), gradient).
    """
    token = current_observer.set(observer)
    try:
        yield
    finally:
        current_observer.reset(token)


@contextmanager
def without_observer() -> Iterator[None]:
    """Hide what runs inside the ``with`` block from `observe_operations`."""
    token = current_observer.set(None)
    try:
        yield
    finally:
        current_observer.reset(token)


def is_observed() -> bool:
    """Whether `observe_operations` is in force."""
    return current_observer.get() is not None

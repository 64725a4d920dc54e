"""Whether operations on tensors are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

is_recording: ContextVar[bool] = ContextVar("typegrad_is_recording", default=True)


@contextmanager
def recording(enabled: bool) -> Iterator[None]:
    """Switch recording on or off inside the ``with`` block."""
    token = is_recording.set(enabled)
    try:
        yield
    finally:
        is_recording.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Do not record what is computed inside the ``with`` block, or in a decorated function.

    Results do not require gradients, and inputs can be freed at once. The functions of
    `typegrad.autodiff`, such as `grad`, work inside it all the same.

    Examples
    --------
    >>> from typegrad.tensor import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2.0
    >>> y.requires_grad
    False
    """
    with recording(False):
        yield

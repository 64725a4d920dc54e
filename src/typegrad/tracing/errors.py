"""What tracing raises when it cannot read a formula."""

from __future__ import annotations

from typegrad.errors import TypegradError


class TraceError(TypegradError, TypeError):
    """A formula does something that cannot be written down as primitives; says what."""

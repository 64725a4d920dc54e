"""LayerLike: what layers and element-wise operations have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typegrad.layers import Chain


class LayerLike:
    """What a network is made of: a layer, or an element-wise operation such as ``tg.Tanh()``.

    Only the common part of the two; subclass `typegrad.Layer` or `ElementwiseOperation`.
    """

    # What checkers see instead, `typegrad.Layer` and `ElementwiseOperation` declare.
    if not TYPE_CHECKING:

        def __rshift__(self, after: LayerLike) -> Chain:
            """Put another layer after this one."""
            from typegrad.layers import Chain

            parts = [part.layers if type(part) is Chain else (part,) for part in (self, after)]
            return Chain(*parts[0], *parts[1])

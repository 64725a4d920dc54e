"""Options of layers and operations: a plan holds as long as they stay as they are."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.engines.planned_step import find_holders
from typegrad.types import AnyArray

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork


class Options:
    """What the attributes of a network's layers, operations and loss were at one time.

    A callback may change them between two epochs (``layer.rate = 0.1``): what the formulas
    made of them is then no longer right.
    """

    def __init__(self, network: NeuralNetwork) -> None:
        # Weak: who remembers a network's options does not keep the network.
        self._network = weakref.proxy(network)
        self._ignored: Collection[tuple[int, str]] = ()
        self._holders: list[Any] = []
        self._memory: list[AnyArray] = []
        self._remembered: list[Hashable] | None = None

    def remember(self, ignored: Collection[tuple[int, str]]) -> None:
        """Note the attributes, but for those that each step sets: (id of the owner, name)."""
        self._ignored = ignored
        # Found once: a part that is put in another's place changes an attribute of its holder.
        self._holders = find_holders(self._network)
        self._memory = [
            self._network.flat.values,
            *(buffer.value for buffer in self._network.buffers.values()),
        ]
        self._remembered = self._read()

    def changed(self) -> bool:
        """Whether an attribute is not what it was; False before anything was noted."""
        return self._remembered is not None and self._remembered != self._read()

    def _read(self) -> list[Hashable]:
        found: list[Hashable] = []
        for holder in self._holders:
            for name, value in vars(holder).items():
                if name == "_saved" or (id(holder), name) in self._ignored:
                    continue
                if _is_view_of(value, self._memory):
                    continue
                found.append((id(holder), name, _fingerprint(value)))
        return found


def _is_view_of(value: object, memory: list[AnyArray]) -> bool:
    return isinstance(value, np.ndarray) and any(
        np.may_share_memory(value, part) for part in memory
    )


def _fingerprint(value: Any) -> Hashable:
    """Return something that is equal for equal values, and for the same objects."""
    if isinstance(value, bool | int | float | str | None):
        return repr(value)
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), value.tobytes())
    if isinstance(value, tuple | list):
        return tuple(_fingerprint(part) for part in value)
    if isinstance(value, dict):
        return tuple((repr(key), _fingerprint(part)) for key, part in value.items())
    return id(value)

"""Options of layers and operations: a plan holds as long as they stay as they are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import partial
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np

from typegrad.engines.planned_step import find_holders, parts_of
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
        self._objects: list[tuple[Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = []
        self._arrays: list[tuple[AnyArray, Hashable]] = []

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
        self._note_objects()

    def changed(self) -> bool:
        """Whether an attribute is not what it was; False before anything was noted."""
        if self._remembered is None or self._are_same_objects():
            return False
        if self._remembered != self._read():
            return True
        self._note_objects()
        return False

    def _note_objects(self) -> None:
        """Note all objects that attributes are or contain, and the numbers of arrays."""
        self._objects, self._arrays = [], []
        for holder in self._holders:
            attributes = dict(self._attributes(holder))
            values = tuple(attributes.values())
            read = partial(_values_of, vars(holder), tuple(attributes), len(vars(holder)))
            self._objects.append((read, values))
            self._note_contents(values)

    def _note_contents(self, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, np.ndarray):
                self._arrays.append((value, _fingerprint(value)))
            elif isinstance(value, tuple | list | dict):
                read = partial(parts_of, value)
                self._objects.append((read, read()))
                self._note_contents(read())

    def _are_same_objects(self) -> bool:
        """Whether nothing was changed: a quick look, since an epoch may be few steps long."""
        for read, noted in self._objects:
            found = read()
            if len(found) != len(noted) or not all(map(is_, found, noted)):
                return False
        return all(_fingerprint(array) == content for array, content in self._arrays)

    def _read(self) -> list[Hashable]:
        return [
            (id(holder), name, _fingerprint(value))
            for holder in self._holders
            for name, value in self._attributes(holder)
        ]

    def _attributes(self, holder: Any) -> Iterator[tuple[str, Any]]:
        for name, value in vars(holder).items():
            is_ignored = name == "_saved" or (id(holder), name) in self._ignored
            if not is_ignored and not _is_view_of(value, self._memory):
                yield name, value


_GONE = object()


def _values_of(attributes: dict[str, Any], names: tuple[str, ...], count: int) -> tuple[Any, ...]:
    """Return the attributes of these names, and more if one was added or taken away."""
    found = tuple(map(attributes.get, names, repeat(_GONE)))
    return found if len(attributes) == count else (*found, attributes)


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

"""Options of layers and operations: a plan holds as long as they stay as they are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sized
from functools import partial
from itertools import chain
from operator import call, is_, itemgetter
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
        # What attributes are, read without a line of Python for each; and what is in containers.
        self._reads: list[Callable[[], Iterable[Any]]] = []
        self._sized: list[Sized] = []
        self._objects: list[Any] = []
        self._sizes: list[int] = []
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
        found = [(vars(holder), dict(self._attributes(holder))) for holder in self._holders]
        containers: list[Any] = []
        self._arrays = []
        for _, values in found:
            self._note_contents(values.values(), containers)
        # Twice the first name, as one alone would give no tuple.
        self._reads = [
            partial(itemgetter(next(iter(values)), *values), attributes)
            for attributes, values in found
            if values
        ]
        self._reads += [partial(parts_of, container) for container in containers]
        self._sized = [*(attributes for attributes, _ in found), *containers]
        self._objects = list(self._found_objects())
        self._sizes = list(map(len, self._sized))

    def _note_contents(self, values: Iterable[Any], containers: list[Any]) -> None:
        for value in values:
            if isinstance(value, np.ndarray):
                self._arrays.append((value, _fingerprint(value)))
            elif isinstance(value, tuple | list | dict):
                if not isinstance(value, tuple):  # Which cannot change.
                    containers.append(value)
                self._note_contents(parts_of(value), containers)

    def _found_objects(self) -> Iterator[Any]:
        return chain.from_iterable(map(call, self._reads))

    def _are_same_objects(self) -> bool:
        """Whether nothing was changed: a quick look, since an epoch may be few steps long."""
        if list(map(len, self._sized)) != self._sizes:
            return False
        try:
            are_same = all(map(is_, self._found_objects(), self._objects))
        except KeyError:  # An attribute is gone, and there is another.
            return False
        return are_same and all(_fingerprint(array) == content for array, content in self._arrays)

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

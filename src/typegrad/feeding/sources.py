"""Where rows are read from that are not all in memory: mapped files, and data sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from typegrad.data.dataset import BlockedDataset, Dataset
from typegrad.errors import DataError, ShapeError
from typegrad.feeding.order import Blocks, default_blocks
from typegrad.feeding.rows import Examples, Rows, as_rows, as_weights
from typegrad.network import as_real_array
from typegrad.types import AnyArray, IntArray, Shape, Vector


class Source(ABC):
    """Rows by their numbers.

    Attributes
    ----------
    prefix
        Begins what messages call the data: ``"validation "`` or nothing.
    weights
        Of all rows, where they are known without reading the rows; else None.
    weights_are_read
        Whether each reading of rows brings their weights.
    """

    weights: Vector | None = None
    weights_are_read = False

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abstractmethod
    def sample(self) -> Rows:
        """The first row or more, without reading much."""

    @abstractmethod
    def read(self, numbers: IntArray) -> Rows:
        """Read the rows of ascending numbers; all that can be checked here, is."""

    def blocks(self, numbers: IntArray | None) -> Blocks:
        """Return blocks of the rows of ascending numbers, or of all."""
        return default_blocks(len(self) if numbers is None else len(numbers))


class MappedSource(Source):
    """Arrays of which at least one is a mapped file."""

    def __init__(self, examples: Examples, prefix: str) -> None:
        super().__init__(prefix)
        self._rows = as_rows(examples, prefix)
        self.weights: Vector | None = self._rows.weights

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def sample(self) -> Rows:
        return self._rows

    def read(self, numbers: IntArray) -> Rows:
        inputs, targets = _taken(self._rows.inputs, numbers), _taken(self._rows.targets, numbers)
        rows = Rows(inputs, targets, None, numbers)
        rows.check_finite(self.prefix)
        return rows


class DatasetSource(Source):
    """A data set that somebody wrote, whose every answer is checked."""

    def __init__(self, dataset: Dataset, prefix: str) -> None:
        super().__init__(prefix)
        self._dataset = dataset
        self._length = len(dataset)
        self._shapes: tuple[Shape, Shape] | None = None
        if self._length == 0:
            raise DataError(f"{prefix}data set has no rows; nothing can be learnt from it")
        self._sample: Rows | None = None
        self._sample = self.read(np.zeros(1, np.int64))
        self.weights_are_read: bool = self._sample.weights is not None

    def __len__(self) -> int:
        return self._length

    @property
    def sample(self) -> Rows:
        assert self._sample is not None
        return self._sample

    def blocks(self, numbers: IntArray | None) -> Blocks:
        if not isinstance(self._dataset, BlockedDataset):
            return super().blocks(numbers)
        lengths = np.array(self._dataset.block_lengths)
        together = self._dataset.blocks_together
        if (lengths < 0).any() or lengths.sum() != self._length or together < 1:
            raise DataError(
                f"{self.prefix}data set has {self._length} rows, but blocks of {lengths.sum()} "
                f"rows, {together} of them together; "
                "expected as many rows, and 1 block or more together"
            )
        stops = np.cumsum(lengths)
        if numbers is not None:
            stops = np.searchsorted(numbers, stops)
        return Blocks(np.diff(stops, prepend=0), together, read_whole=True)

    def read(self, numbers: IntArray) -> Rows:
        asked = f"{self.prefix}data set: take() of {_rows(numbers)}"
        try:
            taken: Any = self._dataset.take(numbers)
        except Exception as error:
            error.add_note(f"{asked} raised this")
            raise
        if not isinstance(taken, tuple) or len(taken) not in (2, 3):
            raise DataError(
                f"{asked} returned a {type(taken).__name__}"
                f"{f' of {len(taken)}' if isinstance(taken, tuple) else ''}; "
                "expected a tuple (x, y) or (x, y, sample_weight)"
            )
        inputs = self._column("x", taken[0], len(numbers), asked)
        targets = self._column("y", taken[1], len(numbers), asked)
        self._check_shapes((inputs.shape[1:], targets.shape[1:]), asked)
        rows = Rows(inputs, targets, self._weights(taken, inputs, asked), numbers)
        rows.check_finite(self.prefix)
        return rows

    def _column(self, name: str, given: npt.ArrayLike, count: int, asked: str) -> AnyArray:
        array = as_real_array(given, f"{asked}: {name}")
        if array.ndim == 0 or len(array) != count:
            raise ShapeError(
                f"{asked} returned {name} of shape {array.shape}; expected "
                f"{count} {'row' if count == 1 else 'rows'}"
            )
        return array

    def _check_shapes(self, shapes: tuple[Shape, Shape], asked: str) -> None:
        if self._shapes is None:
            self._shapes = shapes
        for name, shape, before in zip("xy", shapes, self._shapes, strict=True):
            if shape != before:
                raise ShapeError(
                    f"{asked} returned {name} with rows of shape {shape}; those before had {before}"
                )

    def _weights(self, taken: tuple[Any, ...], inputs: AnyArray, asked: str) -> Vector | None:
        given = taken[2] if len(taken) == 3 else None
        if self._sample is not None and (given is not None) != self.weights_are_read:
            before, now = ("weights", "none") if given is None else ("no weights", "some")
            raise DataError(f"{asked} returned {now}, but there were {before} before")
        return None if given is None else as_weights(given, inputs, f"{asked}: ")


def _taken(array: AnyArray, numbers: IntArray) -> AnyArray:
    if array.flags.c_contiguous:
        # Unlike indexing, this lets other threads run while it waits for the disk.
        return array.take(numbers, 0)
    # Of an array with gaps, `take` would copy all.
    taken: AnyArray = array[numbers]
    return taken


def _rows(numbers: IntArray) -> str:
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    return f"{len(numbers)} rows from {numbers[0]} to {numbers[-1]}"


def find_source(data: object, prefix: str) -> Source | None:
    """Return where to read rows from, or None if the data are in memory."""
    if isinstance(data, tuple):
        is_mapped = len(data) in (2, 3) and any(isinstance(each, np.memmap) for each in data)
        return MappedSource(data, prefix) if is_mapped else None
    if is_dataset(data):
        return DatasetSource(data, prefix)
    return None


def is_dataset(data: object) -> TypeGuard[Dataset]:
    """Whether this is a data set, and not an array or a table that has the same methods."""
    return isinstance(data, Dataset) and not hasattr(data, "__array__")

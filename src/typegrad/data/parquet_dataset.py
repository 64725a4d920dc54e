"""Parquet files as a data set that is read row group by row group; needs pyarrow."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from typegrad.data.dataset import DatasetRows
from typegrad.data.table import unknown_column
from typegrad.errors import DataError, import_extra
from typegrad.options import check_count
from typegrad.types import IntArray, Matrix, Vector

_Paths: TypeAlias = str | os.PathLike[str]

_Group: TypeAlias = Matrix
"""Rows of a row group: the inputs' columns, then the targets', then the weights'."""


@dataclass(frozen=True)
class _File:
    """A file as it was when it was opened.

    What it says of its row groups is kept: to parse it anew for each would take a time that grows
    with the number of them.
    """

    path: Path
    version: tuple[int, int, int]
    metadata: Any

    @cached_property
    def schema(self) -> Any:
        """The columns' names and types."""
        return self.metadata.schema.to_arrow_schema()

    @property
    def column_names(self) -> list[str]:
        """In the file's order."""
        return [str(name) for name in self.schema.names]


class ParquetDataset:
    """Numbers in Parquet files, to train on without reading them whole.

    The row groups used last are kept, as many as fit in `cache_bytes`. Training with
    ``shuffle="blocks"`` reads each row group once an epoch. With ``shuffle=True`` each part of an
    epoch has rows of all row groups, so that what does not fit is read again for every part:
    rows of 4 MB, in the network's dtype.

    Parameters
    ----------
    paths
        A file, a folder whose ``*.parquet`` are taken in the order of their names, or several
        of both, one after the other.
    inputs
        Columns of numbers or booleans that a network learns from; None for all that are
        neither target nor weight.
    target
        A column, or several, to predict.
    sample_weight
        A column that says how much each row counts.
    cache_bytes
        Memory for row groups. One is kept even if it is larger.

    Attributes
    ----------
    inputs, target : tuple of str
        Names of the columns of x and of y.

    Raises
    ------
    DataError
        If there is no file, one is not Parquet or lacks a column, or a column holds no numbers.
    MissingExtraError
        If pyarrow is not installed.
    """

    def __init__(
        self,
        paths: _Paths | Sequence[_Paths],
        *,
        target: str | Sequence[str],
        inputs: Sequence[str] | None = None,
        sample_weight: str | None = None,
        cache_bytes: int = 256 << 20,
    ) -> None:
        self._parquet = import_extra("pyarrow.parquet", "parquet", "ParquetDataset")
        self._cache_bytes = check_count("cache_bytes", cache_bytes, at_least=0)
        self._files = [self._opened(path) for path in _found(paths)]
        self.target: tuple[str, ...] = _names("target", target)
        self._weighted = sample_weight is not None
        not_inputs = (*self.target, *([] if sample_weight is None else [sample_weight]))
        if inputs is None:
            present = self._files[0].column_names
            inputs = [name for name in present if name not in not_inputs]
        self.inputs: tuple[str, ...] = _names("inputs", inputs)
        self._columns = (*self.inputs, *not_inputs)
        self._dtype = self._common_dtype()
        groups = [(file, group) for file in self._files
                  for group in range(file.metadata.num_row_groups)]  # fmt: skip
        lengths = [file.metadata.row_group(group).num_rows for file, group in groups]
        self._places = [place for place, rows in zip(groups, lengths, strict=True) if rows]
        self._lengths: tuple[int, ...] = tuple(rows for rows in lengths if rows)
        self._stops: IntArray = np.cumsum(self._lengths, dtype=np.int64)
        if not self._lengths:
            raise DataError(f"ParquetDataset: {self._files[0].path} has columns but no rows")
        self._kept: OrderedDict[int, _Group] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    @property
    def block_lengths(self) -> tuple[int, ...]:
        """Rows of each row group, in order."""
        return self._lengths

    @property
    def blocks_together(self) -> int:
        """How many row groups fit in the cache, one at least."""
        largest = max(self._lengths) * len(self._columns) * self._dtype.itemsize
        return max(1, self._cache_bytes // largest)

    def __len__(self) -> int:
        return sum(self._lengths)

    def take(self, indices: IntArray, /) -> DatasetRows:
        """Read some rows, in any order.

        Parameters
        ----------
        indices
            Numbers of rows, from 0 on.

        Returns
        -------
        tuple
            ``(x, y)``, or ``(x, y, sample_weight)``; float32 where that holds all numbers of
            the columns' types, else float64. Gaps are NaN.

        Raises
        ------
        IndexError
            If there is no such row.
        DataError
            If a file is damaged, or was changed.
        """
        indices = np.asarray(indices)
        if indices.size and not (indices.min() >= 0 and indices.max() < len(self)):
            raise IndexError(f"ParquetDataset.take got rows outside 0 to {len(self) - 1}")
        rows = np.empty((len(indices), len(self._columns)), self._dtype)
        groups = np.searchsorted(self._stops, indices, side="right")
        with self._lock:
            # Those at hand first: reading others may drop them.
            wanted: list[int] = sorted(
                set(groups.tolist()), key=lambda each: each not in self._kept
            )
            for group in wanted:
                places = np.flatnonzero(groups == group)
                first = self._stops[group] - self._lengths[group]
                rows[places] = self._rows_of(group)[indices[places] - first]
        width = len(self.inputs)
        x, y = rows[:, :width], rows[:, width : width + len(self.target)]
        return (x, y, rows[:, -1]) if self._weighted else (x, y)

    def __repr__(self) -> str:
        return (
            f"ParquetDataset({len(self)} rows, {len(self._lengths)} row groups, "
            f"{len(self._files)} {'file' if len(self._files) == 1 else 'files'})"
        )

    def _rows_of(self, group: int) -> _Group:
        if group in self._kept:
            self._kept.move_to_end(group)
            return self._kept[group]
        # Room is made beforehand, so that the cache and the new one are never too much together.
        size = self._lengths[group] * len(self._columns)
        memory: Vector = np.empty(0, self._dtype)
        while self._kept and self._kept_bytes + size * self._dtype.itemsize > self._cache_bytes:
            memory = self._kept.popitem(last=False)[1].reshape(-1)
            self._kept_bytes -= memory.nbytes
        # Memory that came and went with each group would leave gaps that nobody else fits in.
        if memory.size != size:
            memory = np.empty(size, self._dtype)
        rows = self._read(group, memory)
        self._kept[group] = rows
        self._kept_bytes += rows.nbytes
        return rows

    def _read(self, group: int, memory: Vector) -> _Group:
        file, inside = self._places[group]
        with _errors_of(file.path):
            if _version(file.path) != file.version:
                raise DataError(f"ParquetDataset: {file.path} was changed after it was opened")
            with self._parquet.ParquetFile(file.path, metadata=file.metadata) as opened:
                table = opened.read_row_group(inside, columns=list(dict.fromkeys(self._columns)))
        rows: _Group = memory.reshape(len(table), len(self._columns))
        for place, name in enumerate(self._columns):
            column = table.column(name)
            kind = "float32" if self._dtype == np.float32 else "float64"
            rows[:, place] = column.cast(kind, safe=False).to_numpy()
        return rows

    def _opened(self, path: Path) -> _File:
        with _errors_of(path):
            return _File(path, _version(path), self._parquet.read_metadata(path))

    def _common_dtype(self) -> np.dtype[np.floating[Any]]:
        pyarrow = import_extra("pyarrow", "parquet", "ParquetDataset")
        wide = False
        for file in self._files:
            names, path, schema = file.column_names, file.path, file.schema
            for name in self._columns:
                if name not in names:
                    raise DataError(f"ParquetDataset: {path}: {unknown_column(name, names)}")
                kind = schema.field(name).type
                wide |= _is_wide(pyarrow.types, kind, f"{path}: column {name!r}")
        return np.dtype(np.float64 if wide else np.float32)


def _is_wide(types: Any, kind: Any, place: str) -> bool:
    """Whether float32 does not hold all numbers of a type."""
    if types.is_boolean(kind) or types.is_null(kind):
        return False
    if types.is_integer(kind):
        return bool(kind.bit_width > 16)
    if types.is_floating(kind):
        return bool(kind.bit_width > 32)
    if types.is_decimal(kind):
        return True
    raise DataError(
        f"ParquetDataset: {place} is of type {kind}; expected numbers or booleans. Leave it out "
        "of inputs, or encode it beforehand (a TableEncoder turns categories into numbers)"
    )


def _found(paths: _Paths | Sequence[_Paths]) -> Iterator[Path]:
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise DataError("ParquetDataset got no paths; expected one file or more")
    for path in map(Path, given):
        if not path.is_dir():
            yield path
            continue
        inside = sorted(path.glob("*.parquet"))
        if not inside:
            raise DataError(f"ParquetDataset: the folder {path} has no *.parquet")
        yield from inside


def _version(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written anew, or another takes its place."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _names(what: str, given: str | Sequence[str]) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names:
        raise DataError(f"ParquetDataset: {what} names no column; expected one or more")
    return names


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises for a file that it cannot read into `DataError`."""
    pyarrow = import_extra("pyarrow", "parquet", "ParquetDataset")
    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        why = (str(error).splitlines() or ["unreadable"])[0]
        raise DataError(
            f"ParquetDataset: {file} is missing, no Parquet file, or damaged: {why}"
        ) from error

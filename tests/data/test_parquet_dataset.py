"""Parquet as a data set: rows, memory, types, and files that will not do."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import typegrad as tg
from typegrad.types import Array

ROWS = 5000
GROUP_ROWS = 700


def make_values(rows: int = ROWS) -> Array:
    return np.random.default_rng(0).normal(2.0, 3.0, (rows, 4)).astype(np.float32)


def write(path: Path, values: Array, names: str = "abcy", group_rows: int = GROUP_ROWS) -> Path:
    columns = dict(zip(names, values.T, strict=True))
    pq.write_table(pa.table(columns), path, row_group_size=group_rows)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "data.parquet", make_values())


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 8, "tanh"),
        tg.Dense(8, 1),
        loss=tg.MSELoss(),
        seed=0,
        input_scaler=tg.Standardizer(),
        target_scaler=tg.Standardizer(),
    )


@pytest.mark.parametrize("cache_bytes", [0, 25_000, 1 << 20])
def test_take(file: Path, cache_bytes: int) -> None:
    data = tg.ParquetDataset(file, target="y", cache_bytes=cache_bytes)
    values = make_values()
    assert len(data) == ROWS
    assert data.block_lengths == (700,) * 7 + (100,)
    assert data.blocks_together == max(1, min(cache_bytes // (700 * 4 * 4), 1 << 20))
    generator = np.random.default_rng(1)
    for count in (0, 1, 50, ROWS):
        indices = generator.permutation(ROWS)[:count]
        for order in (np.sort(indices), indices):
            x, y = data.take(order)[:2]
            assert isinstance(x, np.ndarray)
            assert x.dtype == np.float32
            np.testing.assert_array_equal(x, values[order, :3])
            np.testing.assert_array_equal(y, values[order, 3:])


def test_columns(file: Path) -> None:
    data = tg.ParquetDataset(file, target=["y", "a"], inputs=["c", "b"], sample_weight="b")
    assert data.inputs == ("c", "b")
    assert data.target == ("y", "a")
    x, y, weights = data.take(np.array([0, 4999]))  # type: ignore[misc]
    values = make_values()[[0, 4999]]
    np.testing.assert_array_equal(x, values[:, [2, 1]])
    np.testing.assert_array_equal(y, values[:, [3, 0]])
    np.testing.assert_array_equal(weights, values[:, 1])
    assert tg.ParquetDataset(file, target="y", sample_weight="b").inputs == ("a", "c")
    assert repr(data) == "ParquetDataset(5000 rows, 8 row groups, 1 file)"


def test_several_files_and_folders(tmp_path: Path) -> None:
    values = make_values()
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "2.parquet", values[3000:])
    write(folder / "1.parquet", values[1000:3000])
    (folder / "README.txt").write_text("no data")
    first = write(tmp_path / "first.parquet", values[:1000])
    write(tmp_path / "none.parquet", values[:0])
    data = tg.ParquetDataset([first, str(tmp_path / "none.parquet"), folder], target="y")
    assert len(data) == ROWS
    np.testing.assert_array_equal(data.take(np.arange(ROWS))[0], values[:, :3])
    assert repr(data) == "ParquetDataset(5000 rows, 8 row groups, 4 files)"


@pytest.mark.parametrize(
    ("column", "dtype", "expected"),
    [
        (pa.array([1, 2], pa.int8()), np.float32, [1.0, 2.0]),
        (pa.array([1, None], pa.int16()), np.float32, [1.0, np.nan]),
        (pa.array([2**31 - 1, 2], pa.int32()), np.float64, [2147483647.0, 2.0]),
        (pa.array([2**40 + 1, 2], pa.uint64()), np.float64, [2.0**40 + 1, 2.0]),
        (pa.array([True, False]), np.float32, [1.0, 0.0]),
        (pa.array([0.1, None], pa.float64()), np.float64, [0.1, np.nan]),
        (pa.array([None, None], pa.null()), np.float32, [np.nan, np.nan]),
        (pa.array([Decimal("1.25"), Decimal("3.50")]), np.float64, [1.25, 3.5]),
    ],
    ids=str,
)
def test_types(tmp_path: Path, column: Any, dtype: type, expected: list[float]) -> None:
    path = tmp_path / "types.parquet"
    pq.write_table(pa.table({"a": column, "y": pa.array([1.0, 2.0], pa.float32())}), path)
    x = np.asarray(tg.ParquetDataset(path, target="y").take(np.arange(2))[0])
    assert x.dtype == dtype
    np.testing.assert_array_equal(x[:, 0], expected)


@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_training_gives_the_bits_of_arrays(file: Path, shuffle: Any) -> None:
    """With blocks of its own, the order is another one than that of arrays."""
    values = make_values()
    network, other = make_network(), make_network()
    options: dict[str, Any] = {"epochs": 2, "seed": 0, "shuffle": shuffle}
    data = tg.ParquetDataset(file, target="y", cache_bytes=25_000)
    history = tg.Trainer(network, tg.Adam(0.01)).fit(data, **options)
    expected = tg.Trainer(other, tg.Adam(0.01)).fit(values[:, :3], values[:, 3:], **options)
    if shuffle == "blocks":
        assert history.training_loss[-1] == pytest.approx(expected.training_loss[-1], rel=0.05)
    else:
        np.testing.assert_array_equal(network.flat.values, other.flat.values)
    assert "typegrad-prefetch" not in {thread.name for thread in threading.enumerate()}


class CountingDataset(tg.ParquetDataset):
    """Counts how often row groups are read."""

    reads = 0

    def _read(self, group: int, memory: Any) -> Any:
        self.reads += 1
        return super()._read(group, memory)


def test_blocks_are_read_once_an_epoch(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("typegrad.feeding.supply._PART_BYTES", 6000)  # Of 20 bytes a row.
    reads = {}
    shuffles: tuple[Any, ...] = ("blocks", True)
    for shuffle in shuffles:
        data = CountingDataset(file, target="y", cache_bytes=25_000)
        network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=0)
        trainer = tg.Trainer(network, tg.SGD(0.001), metrics=())
        valid = (make_values()[:5, :3], make_values()[:5, 3:])
        history = trainer.fit(data, epochs=3, shuffle=shuffle, validation_data=valid, seed=0)
        reads[shuffle] = data.reads
        warning = (
            "shuffle=True reads all 8 blocks of the data set, which keeps 2 at hand, for every "
            'part of an epoch; shuffle="blocks" reads each once an epoch'
        )
        assert (warning in history.notes) == (warning in caplog.messages) == (shuffle is True)
    # Two row groups fit, of eight; one more is read to see what there is.
    assert 3 * 6 <= reads["blocks"] <= 3 * 8 + 1
    assert reads[True] > 3 * 50


def test_memory_is_bounded_by_the_cache(file: Path) -> None:
    data = tg.ParquetDataset(file, target="y", cache_bytes=25_000)
    for start in range(0, ROWS, 100):
        data.take(np.arange(start, start + 100))
        assert sum(rows.nbytes for rows in data._kept.values()) <= 25_000
    kept = data._kept.values()
    assert data._kept_bytes == sum(rows.nbytes for rows in kept)
    assert data._kept_bytes == sum(rows.base.nbytes for rows in kept if rows.base is not None)


def test_gaps_are_named(tmp_path: Path) -> None:
    values = make_values()
    values[3210, 1] = np.nan
    data = tg.ParquetDataset(write(tmp_path / "gaps.parquet", values), target="y")
    with pytest.raises(tg.DataError, match=r"^x has nan at row 3210, column 1; drop or fill"):
        tg.Trainer(make_network(), tg.Adam(0.01)).fit(data, epochs=1)


def test_rows_that_are_not_there(file: Path) -> None:
    data = tg.ParquetDataset(file, target="y")
    for row in (-1, ROWS):
        with pytest.raises(IndexError, match=r"ParquetDataset\.take got rows outside 0 to 4999$"):
            data.take(np.array([0, row]))


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(tg.DataError) as caught:
        tg.ParquetDataset(*arguments, **options)
    return str(caught.value)


def test_what_will_not_do(file: Path, tmp_path: Path) -> None:
    assert refused([], target="y") == "ParquetDataset got no paths; expected one file or more"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refused(empty, target="y") == f"ParquetDataset: the folder {empty} has no *.parquet"
    assert refused(file, target=[]) == (
        "ParquetDataset: target names no column; expected one or more"
    )
    assert refused(file, target="y", inputs=[]) == (
        "ParquetDataset: inputs names no column; expected one or more"
    )
    assert refused(file, target="z").startswith(f"ParquetDataset: {file}: ")
    other = write(tmp_path / "other.parquet", make_values()[:10], names="abdy")
    assert refused([file, other], target="y").startswith(f"ParquetDataset: {other}: ")
    none = write(tmp_path / "none.parquet", make_values()[:0])
    assert refused(none, target="y") == f"ParquetDataset: {none} has columns but no rows"
    absent = tmp_path / "absent.parquet"
    for path in (absent, Path(__file__)):
        assert refused(path, target="y").startswith(
            f"ParquetDataset: {path} is missing, no Parquet file, or damaged: "
        )
    text = tmp_path / "text.parquet"
    pq.write_table(pa.table({"a": ["u", "v"], "y": [1.0, 2.0]}), text)
    assert refused(text, target="y") == (
        f"ParquetDataset: {text}: column 'a' is of type string; expected numbers or booleans. "
        "Leave it out of inputs, or encode it beforehand (a TableEncoder turns categories into "
        "numbers)"
    )


def test_files_that_change(file: Path) -> None:
    data = tg.ParquetDataset(file, target="y")
    write(file, make_values()[:500])
    with pytest.raises(tg.DataError, match="was changed after it was opened"):
        data.take(np.array([0]))
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(tg.DataError, match="was changed after it was opened"):
        data.take(np.array([0]))
    with pytest.raises(tg.DataError, match="or damaged"):
        tg.ParquetDataset(file, target="y")
    file.unlink()
    with pytest.raises(tg.DataError, match="is missing"):
        data.take(np.array([0]))


def test_files_that_are_damaged_inside(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"x" * (len(content) // 2) + content[len(content) // 2 :])
    data = tg.ParquetDataset(file, target="y")
    with pytest.raises(tg.DataError, match="or damaged"):
        data.take(np.array([0]))


def test_without_pyarrow(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(tg.MissingExtraError, match="ParquetDataset needs pyarrow"):
        tg.ParquetDataset(file, target="y")

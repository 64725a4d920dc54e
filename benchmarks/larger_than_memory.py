"""Time and memory of training on data larger than the memory that a process may use.

Data of `--megabytes` are written to a folder, as a mapped file and as Parquet, and trained on in
processes of their own: 32-64-1 with ReLU, Adam, mean squared error, float32, inputs standardised.
Those that map a file may allocate no more than `--limit` (RLIMIT_DATA, which the kernel
enforces). The others have no limit: arrays in memory need what they need, and pyarrow's threads
and allocators reserve more than they use, which would count.

Peak memory is what a process allocated and used (anonymous memory; sampled each 5 ms), libraries
included. Pages of a mapped file are the system's file cache, which it takes back whenever
another needs memory; the peak with them is in parentheses. Weights at the end must agree bit for
bit with those of the same order in memory, or the benchmark stops.

Example: python benchmarks/larger_than_memory.py --megabytes 3000 --limit 400
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from measuring.machine import BLAS_VARIABLES, describe_run, print_run, version_of
from measuring.tables import print_table, write_json

FEATURES = 32
CHUNK_ROWS = 100_000
SAMPLE_SECONDS = 0.005

CONTESTANTS = {
    "in memory": ("arrays", True),
    "mapped file": ("mapped", True),
    "in memory, by blocks": ("arrays", "blocks"),
    "mapped file, by blocks": ("mapped", "blocks"),
    "Parquet, by blocks": ("parquet", "blocks"),
}
"""Kind of data, and how it is shuffled."""


@dataclass(frozen=True)
class Job:
    """What a process is to do."""

    folder: str
    kind: str
    shuffle: Any
    engine: str
    batch_size: int
    epochs: int
    limit: int | None
    processor_time: bool


@dataclass(frozen=True)
class Result:
    """What it cost, and which weights came of it."""

    name: str
    seconds_before: float
    seconds: list[float]
    weights: str
    peak_megabytes: float
    peak_with_files: float


def write_data(folder: Path, megabytes: int) -> int:
    """Write the same rows as a mapped file and as Parquet; return how many."""
    import numpy as np

    rows = max(1000, int(megabytes * 1e6 / (4 * (FEATURES + 1))))
    shape = (rows, FEATURES + 1)
    mapped = np.lib.format.open_memmap(folder / "data.npy", "w+", np.float32, shape)
    generator = np.random.default_rng(0)
    names = [f"x{number}" for number in range(FEATURES)] + ["y"]
    writer = None
    for start in range(0, rows, CHUNK_ROWS):
        part = generator.normal(3.0, 2.0, (min(CHUNK_ROWS, rows - start), FEATURES + 1))
        part[:, -1] = np.tanh(part[:, 0] - 3.0) * part[:, 1]
        part = part.astype(np.float32)
        mapped[start : start + CHUNK_ROWS] = part
        if version_of("pyarrow") is not None:
            import pyarrow
            from pyarrow import parquet

            table = pyarrow.table(dict(zip(names, part.T, strict=True)))
            if writer is None:
                writer = parquet.ParquetWriter(folder / "data.parquet", table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    mapped.flush()
    return rows


def data_of(job: Job) -> tuple[Any, ...]:
    """Return what `fit` is given."""
    import numpy as np

    import typegrad as tg

    folder = Path(job.folder)
    if job.kind == "parquet":
        file = folder / "data.parquet"
        return (tg.ParquetDataset(file, target="y", cache_bytes=64 << 20),)
    values = np.load(folder / "data.npy", mmap_mode="r")
    if job.kind == "arrays":
        values = np.array(values)
    return values[:, :FEATURES], values[:, FEATURES:]


def work(job: Job) -> None:
    """Train as the job says; print times and a digest of the weights."""
    from hashlib import sha256

    if job.limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (job.limit, job.limit))
    import typegrad as tg

    clock = time.process_time if job.processor_time else time.perf_counter
    times: list[float] = []

    class Clock(tg.Callback):
        def on_train_begin(self, event: tg.TrainBegin) -> None:
            times.append(clock())

        def on_epoch_end(self, event: tg.EpochEnd) -> None:
            times.append(clock())

    network = tg.NeuralNetwork(
        tg.Dense(FEATURES, 64, "relu"),
        tg.Dense(64, 1),
        loss=tg.MSELoss(),
        input_scaler=tg.Standardizer(),
        seed=0,
    )
    engine: Any = job.engine
    trainer = tg.Trainer(network, tg.Adam(0.001), engine=engine, metrics=(), callbacks=[Clock()])
    data = data_of(job)
    started = clock()
    trainer.fit(
        *data,
        epochs=job.epochs,
        batch_size=job.batch_size,
        seed=0,
        shuffle=job.shuffle,
        evaluate_every=job.epochs,
    )
    seconds = [after - before for before, after in pairwise(times)]
    digest = sha256(network.flat.values.tobytes()).hexdigest()
    before = times[0] - started
    print(json.dumps({"seconds_before": before, "seconds": seconds, "weights": digest}))


def run(name: str, job: Job) -> Result:
    """Do a job in a fresh process, watching its memory."""
    command = [sys.executable, __file__, "--job", json.dumps(asdict(job))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        allocated, resident = watch(process)
        printed = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit(f"{name} failed, perhaps since it may allocate no more than {job.limit}")
    report = json.loads(printed)
    return Result(name, **report, peak_megabytes=allocated, peak_with_files=resident)


def watch(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Return peaks of anonymous and of all resident memory in MB, NaN where nobody tells."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        process.wait()
        return float("nan"), float("nan")
    peaks = {"RssAnon": 0.0, "VmRSS": 0.0}
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:  # It has just ended.
            break
        for line in lines:
            name, _, value = line.partition(":")
            if name in peaks:
                peaks[name] = max(peaks[name], float(value.split()[0]) * 1024 / 1e6)
        time.sleep(SAMPLE_SECONDS)
    return peaks["RssAnon"], peaks["VmRSS"]


def check_equal(results: Sequence[Result]) -> None:
    """Stop unless mapped files gave the weights that arrays in memory gave."""
    weights = {each.name: each.weights for each in results}
    for name in ("in memory", "in memory, by blocks"):
        other = name.replace("in memory", "mapped file")
        if weights[name] != weights[other]:
            raise SystemExit(f"weights differ: {name} and {other}")


def report(results: Sequence[Result], rows: int) -> None:
    """Print times and memory."""
    table = [
        [
            each.name,
            f"{each.seconds_before:.1f}",
            f"{statistics.median(each.seconds[:-1]):.2f}",
            f"{1e9 * statistics.median(each.seconds[:-1]) / rows:.0f}",
            f"{each.peak_megabytes:.0f} ({each.peak_with_files:.0f})",
        ]
        for each in results
    ]
    header = ["", "s before", "s an epoch", "ns a row", "peak MB (with file pages)"]
    print_table("Training; the last epoch, which is evaluated, is not counted", header, table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=3000, help="size of the data (3000)")
    parser.add_argument("--limit", type=int, default=400, help="MB to allocate at most (400)")
    parser.add_argument("--folder", type=Path, help="where to write them (a temporary folder)")
    parser.add_argument("--engine", default="auto", help="as Trainer takes it (auto)")
    parser.add_argument("--batch", type=int, default=512, help="512")
    parser.add_argument("--epochs", type=int, default=3, help="3, 2 at least")
    parser.add_argument("--threads", type=int, default=1, help="of products (1); reading has one")
    parser.add_argument("--processor-time", action="store_true", help="instead of wall time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--smoke", action="store_true", help="10 MB, two epochs")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job is not None:
        work(Job(**json.loads(options.job)))
        return
    os.environ.update(dict.fromkeys(BLAS_VARIABLES, str(options.threads)))
    description = describe_run(("numpy", "llvmlite", "pyarrow", "typegrad"))
    print_run(description)
    megabytes, epochs = (10, 2) if options.smoke else (options.megabytes, options.epochs)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = write_data(Path(folder), megabytes)
        print(f"{rows:,} rows of {FEATURES} inputs and a target, {megabytes} MB\n")
        results = []
        for name, (kind, shuffle) in CONTESTANTS.items():
            if kind == "parquet" and version_of("pyarrow") is None:
                print(f"{name}: skipped, pyarrow is not installed")
                continue
            limit = options.limit * 1_000_000 if kind == "mapped" else None
            job = Job(
                folder=folder,
                kind=kind,
                shuffle=shuffle,
                engine=options.engine,
                batch_size=options.batch,
                epochs=epochs,
                limit=limit,
                processor_time=options.processor_time,
            )
            results.append(run(name, job))
    check_equal(results)
    report(results, rows)
    if options.json is not None:
        content = {"run": description, "rows": rows, "results": [asdict(each) for each in results]}
        write_json(options.json, content)


if __name__ == "__main__":
    main()

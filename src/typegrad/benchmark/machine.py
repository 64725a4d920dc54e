"""What a benchmark ran on, and how steady that was."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from typegrad._version import __version__
from typegrad.types import Array, FloatDType, Vector

REFERENCE_SIZE = 384
"""Rows and columns of the matrices whose product is the reference workload."""

_REPEATS = 4

NOISY_SPREAD = 0.15
"""Distance of the quartiles of the reference's times, relative to their median, that is noise."""

NOISY_DRIFT = 0.1
"""Relative difference of their medians in the first and in the second half that is noise."""

_DISTRIBUTIONS = ("numpy", "torch", "jax")
_GIT_SECONDS = 5.0


class Reference:
    """A matrix product, timed in every round: what the machine can do, and whether it is steady."""

    def __init__(self, dtype: FloatDType) -> None:
        generator = np.random.default_rng(0)
        shape = (REFERENCE_SIZE, REFERENCE_SIZE)
        self.left: Array = generator.standard_normal(shape).astype(dtype)
        self.right: Array = generator.standard_normal(shape).astype(dtype)
        self.out: Array = np.empty(shape, dtype)

    @property
    def operations(self) -> int:
        """Floating-point operations of a call: a multiplication and an addition each."""
        return 2 * REFERENCE_SIZE**3 * _REPEATS

    def __call__(self) -> None:
        for _ in range(_REPEATS):
            np.matmul(self.left, self.right, self.out)


def spread(values: Vector) -> float:
    """Distance between the quartiles relative to the median."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / middle)


def noise_warning(seconds: Sequence[float]) -> str | None:
    """Say so if the times of the reference workload differ too much to trust other times."""
    values = np.array(seconds)
    found = spread(values)
    half = len(values) // 2
    first, second = np.median(values[:half]), np.median(values[half:])
    drift = float(max(first, second) / min(first, second) - 1.0)
    if found <= NOISY_SPREAD and drift <= NOISY_DRIFT:
        return None
    return (
        f"The machine was not steady: times of one and the same matrix product were spread by "
        f"{found:.0%} (half of them lay within that), and changed by {drift:.0%} from the first "
        "half of the measurement to the second. Other programs were probably running: close "
        "them and measure again before you trust small differences."
    )


def describe_machine() -> dict[str, str]:
    """Machine, versions, date and command: what a measurement needs to be repeated."""
    versions = [f"typegrad {__version__}", f"Python {platform.python_version()}"]
    for name in _DISTRIBUTIONS:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    described = {
        "processor": _processor(),
        "cores": f"{_usable_cores()} of {os.cpu_count()}",
        "system": platform.platform(),
        "versions": ", ".join(versions),
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        if variable in os.environ:
            described[variable] = os.environ[variable]
    if hasattr(os, "getloadavg"):
        described["load"] = f"{os.getloadavg()[0]:.2f} over the minute before"
    commit = _commit()
    if commit is not None:
        described["commit"] = commit
    return described


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Commit of the repository around the working directory, marked if files are changed."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit} and changes" if _git("status", "--porcelain", "-uno") else commit


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=_GIT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

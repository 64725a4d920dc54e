"""What a benchmark ran on, so that its numbers can be judged and repeated."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import datetime
from importlib import metadata
from pathlib import Path

BLAS_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Let this process and those it starts use so many cores.

    Libraries read these limits when they are imported, so call this before.
    """
    for variable in BLAS_VARIABLES:
        os.environ[variable] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        # The last ones: the first often serves the system's interrupts too.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def peak_megabytes() -> float:
    """Largest resident set of this process so far, in MB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def describe_run(distributions: Iterable[str]) -> dict[str, str]:
    """Machine, versions, date and command of this run."""
    versions = [f"Python {platform.python_version()}"]
    for name in distributions:
        if (version := version_of(name)) is not None:
            versions.append(f"{name} {version}")
    described = {
        "machine": f"{_processor()}, {usable_cores()} of {os.cpu_count()} cores used",
        "system": platform.platform(),
        "versions": ", ".join(versions),
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "command": shlex.join(["python", *sys.argv]),
    }
    if hasattr(os, "getloadavg"):
        described["load"] = f"{os.getloadavg()[0]:.2f} over the last minute, at the start"
    return described


def print_run(described: dict[str, str]) -> None:
    """Print what `describe_run` gave, a line each."""
    for name, value in described.items():
        print(f"{name + ':':10s}{value}")
    print()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

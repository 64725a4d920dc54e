"""Benchmarks of one's own training: which batch size, which learning rate."""

from __future__ import annotations

from typegrad.benchmark.batch_sizes import batch_sizes
from typegrad.benchmark.report import BatchSizeReport

__all__ = ["BatchSizeReport", "batch_sizes"]

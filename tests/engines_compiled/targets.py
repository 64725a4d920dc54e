"""Processors with fewer features than this one, whose code runs here all the same."""

from __future__ import annotations

from collections.abc import Mapping

from typegrad.engines.compiled.target import Target, host

NARROWER: Mapping[str, tuple[str, str]] = {
    "avx2": ("x86-64-v3", "+avx2,+fma"),
    "sse2": ("x86-64", "+sse2"),
}
"""Processor and features: vectors of 256 and 128 bits, both with 16 registers.

The second has no multiply-adds in one instruction. NEON's vectors are as long.
"""


def target_called(name: str) -> Target | None:
    """Return this machine's processor, or one with fewer features that it has; None if not."""
    machine = host()
    if name == "host":
        return machine
    cpu, features = NARROWER[name]
    is_part = set(features.split(",")) <= set(machine.features.split(","))
    return Target(cpu, features, machine.triple) if is_part else None

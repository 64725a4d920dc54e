"""Code for other processors: what narrower vectors lead to, and what only compiles here."""

from __future__ import annotations

import pytest

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.chain import ChainBuilder
from typegrad.engines.compiled.compiler import Compiler
from typegrad.engines.compiled.elementwise import FUNCTIONS
from typegrad.engines.compiled.library import library_for
from typegrad.engines.compiled.target import Target, host

from .native_calls import operand_count
from .targets import NARROWER, target_called

ELF_AARCH64 = 183
"""What an object file for Linux says, at this place, of the machine that it is for."""
ELF_MACHINE = slice(18, 20)

LANES = {"avx2": (8, 4), "sse2": (4, 2)}


@pytest.mark.parametrize("name", NARROWER)
def test_narrower_targets_are_other_targets(name: str) -> None:
    target = target_called(name)
    if target is None:
        pytest.skip(f"this machine does not run code for {name}")
    assert (target.lanes(32), target.lanes(64)) == LANES[name]
    assert target.vector_registers == 16
    assert target.key != host().key


@pytest.mark.usefixtures("every_target")
def test_libraries_are_those_of_the_target(request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["every_target"]
    if name in LANES:
        assert tuple(library_for(bits).lanes for bits in (32, 64)) == LANES[name]


@pytest.mark.parametrize(
    ("triple", "features", "lanes", "registers", "pause"),
    [
        ("x86_64-pc-linux-gnu", "+avx,+avx2,+avx512f,+fma", (16, 8), 32, "pause"),
        ("x86_64-pc-windows-msvc", "+avx,+avx2,+fma,-avx512f", (8, 4), 16, "pause"),
        ("x86_64-pc-linux-gnu", "+avx,-avx2,+sse4.2", (4, 2), 16, "pause"),
        ("arm64-apple-darwin23", "+neon", (4, 2), 32, "yield"),
    ],
)
def test_targets(
    triple: str, features: str, lanes: tuple[int, int], registers: int, pause: str
) -> None:
    target = Target("any", features, triple)
    assert (target.lanes(32), target.lanes(64)) == lanes
    assert target.vector_registers == registers
    assert target.pause == pause


@pytest.mark.parametrize("bits", [32, 64])
def test_all_code_compiles_for_aarch64(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot run here: what runs is SSE2's, whose vectors are as long as NEON's."""
    # The one instruction that is text needs a parser, and llvmlite has the machine's own alone.
    monkeypatch.setattr(Target, "pause", "")
    llvm.binding.initialize_all_targets()
    llvm.binding.initialize_all_asmprinters()
    target = Target("generic", "+neon", "aarch64-unknown-linux-gnu")
    try:
        compiler = Compiler(bits, target)
    except RuntimeError:
        pytest.skip("this LLVM makes no code for aarch64")
    builder = ChainBuilder("vsv")
    links = [builder.link(name, *range(operand_count(name))) for name in FUNCTIONS]
    for code in (compiler.kernels(), compiler.chain(builder.finish(links))):
        assert int.from_bytes(code[ELF_MACHINE], "little") == ELF_AARCH64

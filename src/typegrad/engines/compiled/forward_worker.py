"""The forward worker: takes rows through a network, tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typegrad.engines.compiled.code import Code
from typegrad.engines.compiled.program import (
    ABSOLUTE,
    FRAME_FIELDS,
    INPUTS,
    ORDER,
    OUTPUTS,
    ROWS,
    WORKSPACE,
)
from typegrad.engines.compiled.worker import emit_program_runner

FORWARD_JOB: Mapping[str, int] = {
    name: index
    for index, name in enumerate(
        (
            "program", "end", "inputs", "input_bytes", "outputs", "output_bytes",
            "rows", "tile_rows", "order", "workspaces", "workspace_bytes",
        )
    )
}  # fmt: skip
"""Where each integer of a job lies in its array; bytes are those of a row."""


def emit_forward(module: Any, name: str) -> None:
    """Write ``forward(job, thread, threads)``, and ``forward_alone(job)`` for a single thread.

    Each thread takes its share of the tiles. What becomes of a row does not depend on the rows
    beside it. Both return 1 if an instruction failed, else 0.
    """
    run_program = emit_program_runner(module, f"{name}_program")
    code = Code(module, name, 3)
    job, thread, threads = code.arguments
    field = {key: code.read(job, index) for key, index in FORWARD_JOB.items()}
    frame = code.memory(FRAME_FIELDS)
    code.write(frame, 0, ABSOLUTE)
    code.write(frame, field["workspaces"] + thread * field["workspace_bytes"], WORKSPACE)
    code.write(frame, field["order"], ORDER)
    rows, tile_rows = field["rows"], field["tile_rows"]
    tiles = (rows + tile_rows - 1) // tile_rows
    first, last = tiles * thread // threads, tiles * (thread + 1) // threads
    failed = code.variable()
    with code.loop(last, 1, first) as tile:
        start = tile * tile_rows
        code.write(frame, (rows - start).min(tile_rows), ROWS)
        code.write(frame, field["inputs"] + start * field["input_bytes"], INPUTS)
        code.write(frame, field["outputs"] + start * field["output_bytes"], OUTPUTS)
        failed.set(failed.get() | code.call(run_program, field["program"], field["end"], frame))
    forward = code.finish(failed.get())
    alone = Code(module, f"{name}_alone", 1)
    alone.finish(alone.call(forward, alone.arguments[0], 0, 1))

"""The job: integers that tell the worker which steps to take, on what memory, with what end."""

from __future__ import annotations

from collections.abc import Mapping

_FIELDS = (
    # Steps to take, in numbers of all steps of the epoch; those before it; how each is ended.
    "first_step", "last_step", "steps_before", "ending",
    # The order of the data's rows, and how it is cut up; the last step may have fewer rows.
    "order", "total_rows", "rows_per_step", "tile_rows", "chunks", "last_chunks",
    # Programs: start and end of each; those of phases in a table, as `PHASE_PROGRAMS` has them.
    "step_program", "step_end", "chunk_program", "chunk_end", "update_program", "update_end",
    "flush_program", "flush_end", "phases", "phase_programs",
    # Where the step is one tile: rows of a thread; each thread's programs for rows, for
    # parameters, and for parameters in the last step, start and end.
    "own_rows", "tile_programs",
    # Memory: of threads, or of tiles if these must be kept apart; of chunks but the first, of the
    # gradient, which is the first's.
    "workspaces", "workspace_bytes", "tile_bytes", "sums", "gradient", "sum_bytes", "loss_offset",
    # The gradient in blocks of so many bytes, and a sum of squares for each.
    "block_bytes", "blocks", "partials",
    # Numbers of each step.
    "scalars", "scalar_bytes", "keys", "key_bytes", "losses",
    # Where a thread has 1 / rows and the factor of clipping, in its workspace; the largest
    # norm, as the bits of a float64.
    "share_offset", "factor_offset", "clip_norm",
    "yield_function",
)  # fmt: skip
# What threads change has a cache line for each, so that nobody waits for what did not change.
_SHARED = ("arrived", "generation", "aborted", "failed", "spoiled")
_LINE = 8

JOB: Mapping[str, int] = {
    **{name: index for index, name in enumerate(_FIELDS)},
    **{name: (len(_FIELDS) // _LINE + 1 + i) * _LINE for i, name in enumerate(_SHARED)},
}
"""Where each integer of a job lies in its array."""

JOB_WORDS = max(JOB.values()) + _LINE

NO_UPDATE, UPDATE_AFTER_CHECK, UPDATE_BY_BLOCKS, UPDATE_IN_TILE = range(4)
"""Endings of a step, once its chunks have their gradients.

=====================  =====================================================================
`NO_UPDATE`            the gradient is summed and checked
`UPDATE_AFTER_CHECK`   so it is before the update, which needs the gradient's norm
`UPDATE_BY_BLOCKS`     each block is summed and used at once, while it is in cache
`UPDATE_IN_TILE`       the step is one tile, whose programs have the update in them
=====================  =====================================================================

In the last two, and where the update itself makes a number that is not finite, that is found when
parameters have changed: the job is then called spoiled. So it is when an instruction fails, but for
what comes before a phase: that is known in time.
"""

FOR_ROWS, FOR_PARAMETERS, FOR_PARAMETERS_LAST = range(3)
TILE_PROGRAMS = 3
"""What each thread has for steps of one tile; start and end of each program.

A thread that is alone has nothing for rows: its programs for parameters begin with that.
"""

JOINT, FIRST_TILE, NEXT_TILE = range(3)
PHASE_PROGRAMS = 3
"""What each phase has: before it, once; for a chunk's first tile; for its others."""

"""The worker: takes the steps of an epoch, together with those of other threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import WORD, Code, Int, Value, Variable, declare
from typegrad.engines.compiled.job import (
    FIRST_TILE,
    FOR_PARAMETERS,
    FOR_PARAMETERS_LAST,
    FOR_ROWS,
    JOB,
    JOINT,
    NEXT_TILE,
    PHASE_PROGRAMS,
    TILE_PROGRAMS,
    UPDATE_AFTER_CHECK,
    UPDATE_BY_BLOCKS,
    UPDATE_IN_TILE,
)
from typegrad.engines.compiled.program import (
    BATCH_ROWS,
    BLOCK,
    FIRST_ROW,
    FRAME_FIELDS,
    FUNCTION,
    KEYS,
    LENGTH,
    ORDER,
    ORDER_END,
    ROWS,
    SCALARS,
    SPACES,
    STEP,
    SUMS,
    THREAD,
    THREADS,
    WHOLE_TILE_ROWS,
    WORKSPACE,
)
from typegrad.engines.compiled.vector import Vectors

FLUSH_INTERVAL = 256
"""After each step whose number in the whole training is a multiple of it, denormal numbers of the
optimizer's state become zero.

Means of gradients that have become zero would stay denormal, and slow down each step. To look at
all numbers in each step would cost up to a sixth of its time.
"""

SPINS = 100
"""How often a waiting thread looks before it lets others run."""


class Worker(Code):
    """Writes the function ``worker(job, thread, threads)``, which returns the steps taken.

    What sums over a batch are grouped by depends on the batch and on the network, never on the
    number of threads: the same bits come out for any number.
    """

    def __init__(self, module: Any, name: str, bits: int, lanes: int, pause: str) -> None:
        self.run_program: Any = emit_program_runner(module, f"{name}_program")
        self.run_until_failure: Any = emit_program_runner(module, f"{name}_joint", stops=True)
        self.barrier: Any = _barrier(module, f"{name}_barrier", pause)
        self.block_sum: Any = _block_sum(module, f"{name}_block", bits, lanes)
        super().__init__(module, name, 3)
        self.v: Vectors = Vectors(self, bits, lanes)
        self.job: Int
        self.thread: Int
        self.threads: Int
        self.job, self.thread, self.threads = self.arguments
        self.ending: Int = self.field("ending")
        self.is_alone = False  # While that is known of the code that is written.
        self.frame: Int = self.memory(FRAME_FIELDS)
        # Of a step of one tile, all threads work on the same memory.
        is_shared = self.ending.equals(UPDATE_IN_TILE)
        shift = self.thread * self.field("workspace_bytes")
        self.workspace: Int = self.field("workspaces") + self.integer(0).choose(is_shared, shift)

    def field(self, name: str) -> Int:
        """Return an integer of the job."""
        return self.read(self.job, JOB[name])

    def write_all(self) -> None:
        """Write the function."""
        frame = self.frame
        for space in range(SPACES):
            self.write(frame, 0, space)
        self.write(frame, self.workspace, WORKSPACE)
        self.write(frame, self.thread, THREAD)
        self.write(frame, self.threads, THREADS)
        self.write(frame, self.field("tile_rows"), WHOLE_TILE_ROWS)
        self.write(frame, self.field("order") + self.field("total_rows") * WORD, ORDER_END)
        is_alone = self.builder.and_(self.ending.equals(UPDATE_IN_TILE), self.threads.equals(1))
        with self.when(is_alone):
            # Steps of a few rows, most often: what is known of them is not asked in each.
            asked = self.thread, self.threads, self.ending
            self.thread, self.threads, self.ending = map(self.integer, (0, 1, UPDATE_IN_TILE))
            self.is_alone = True
            self.leave(self.take_steps())
            self.is_alone = False
            self.thread, self.threads, self.ending = asked
        self.finish(self.take_steps())

    def take_steps(self) -> Int:
        """Write the loop over steps; return how many were taken, if all were."""
        frame, first = self.frame, self.field("first_step")
        in_tile = self.ending.equals(UPDATE_IN_TILE)
        with self.loop(self.field("last_step"), 1, first) as step:
            begin = step * self.field("rows_per_step")
            rows = (self.field("total_rows") - begin).min(self.field("rows_per_step"))
            is_whole = rows.equals(self.field("rows_per_step"))
            chunks = self.field("chunks").choose(is_whole, self.field("last_chunks"))
            # A tile is one chunk: said here too, where that is known while the code is written.
            chunks = self.integer(1).choose(in_tile, chunks)
            self.write(frame, rows, BATCH_ROWS)
            self.write(frame, step, STEP)
            self.write(frame, self.field("scalars") + step * self.field("scalar_bytes"), SCALARS)
            self.write(frame, self.field("keys") + step * self.field("key_bytes"), KEYS)
            taken = step - first
            with self.when(self.field("step_end") > self.field("step_program")):
                self.run("step")
            # All must have looked whether the step before was spoiled, before this one can be.
            self.wait(taken)
            with self.builder.if_else(in_tile) as (then, otherwise):
                with then:
                    is_last = (step + 1).equals(self.field("last_step"))
                    self.run_tile(begin, rows, taken, is_last)
                with otherwise:
                    self.run_phases(begin, rows, chunks, taken)
            self.wait(taken)
            with self.when(self.ending <= UPDATE_AFTER_CHECK):
                self.sum_blocks(chunks)
                self.wait(taken)
            self.check(step, first, chunks)
            with self.when(self.ending.equals(UPDATE_AFTER_CHECK)):
                self.run_on_blocks("update", self.integer(0))
            with self.when(self.ending.equals(UPDATE_BY_BLOCKS)):
                self.run_on_blocks("update", chunks - 1)
            self.wait(taken)
            with self.when(self.read_shared(self.job, JOB["spoiled"]).differs(0)):
                self.leave(taken)
            number = self.field("steps_before") + step + 1
            with self.when((number // FLUSH_INTERVAL * FLUSH_INTERVAL).equals(number)):
                self.run_on_blocks("flush", self.integer(0))
                self.wait(taken)
        return (self.field("last_step") - first).max(0)

    def run(self, program: str) -> None:
        """Run one of the job's programs."""
        self.run_between(self.field(f"{program}_program"), self.field(f"{program}_end"))

    def run_between(self, start: Int, end: Int) -> None:
        """Run a program; note if an instruction failed, or made what is not finite."""
        found = self.call(self.run_program, start, end, self.frame)
        with self.when(found.differs(0)):
            self.write_shared(self.job, 1, JOB["spoiled"])

    def wait(self, taken: Int) -> None:
        """Wait for the other threads; give up if one of them could not be started."""
        with self.when(self.threads > 1):
            aborted = self.call(self.barrier, self.job, self.threads)
            with self.when(aborted.differs(0)):
                self.leave(taken)

    def set_share(self, rows: Int, workspace: Int) -> None:
        """Put 1 / rows where the tile's program reads it."""
        v = self.v
        one = llvm.ir.Constant(v.element, 1.0)
        share = self.builder.fdiv(one, self.builder.sitofp(rows.value, v.element))
        v.store_one(share, workspace + self.field("share_offset"))

    def set_rows(self, begin: Int, first: Int, count: Int) -> None:
        """Say which of the batch's rows come next; the batch begins at a place of the order."""
        self.write(self.frame, count, ROWS)
        self.write(self.frame, first, FIRST_ROW)
        self.write(self.frame, self.field("order") + (begin + first) * WORD, ORDER)

    def run_tile(self, begin: Int, rows: Int, taken: Int, is_last: Value) -> None:
        """Run the thread's share of a batch of one tile: of its rows, then of the parameters."""
        self.set_share(rows, self.workspace)
        self.write(self.frame, self.field("gradient"), SUMS)
        programs = self.field("tile_programs") + self.thread * (TILE_PROGRAMS * 2 * WORD)
        if self.is_alone:
            self.set_rows(begin, self.integer(0), rows)
        else:
            first = self.thread * self.field("own_rows")
            count = (rows - first).min(self.field("own_rows"))
            with self.when(count > 0):
                self.set_rows(begin, first, count)
                self.run_tile_program(programs, self.integer(FOR_ROWS))
            self.wait(taken)
            self.write(self.frame, rows, ROWS)
        number = self.integer(FOR_PARAMETERS_LAST).choose(is_last, FOR_PARAMETERS)
        self.run_tile_program(programs, number)

    def run_tile_program(self, programs: Int, number: Int) -> None:
        """Run one of a thread's programs for steps of one tile."""
        place = programs + number * (2 * WORD)
        self.run_between(self.read(place, 0), self.read(place, 1))

    def run_phases(self, begin: Int, rows: Int, chunks: Int, taken: Int) -> None:
        """Run the thread's share of the batch's chunks, a phase after the other."""
        phases = self.field("phases")
        with self.loop(phases) as phase:
            programs = self.phase_programs(phase)
            self.run_joint(programs, rows, taken)
            self.run_chunks(begin, rows, chunks, programs)
        self.run_joint(self.phase_programs(phases), rows, taken)
        self.run_chunk_ends(chunks)
        self.write(self.frame, self.workspace, WORKSPACE)

    def phase_programs(self, phase: Int) -> Int:
        """Return the address of a phase's row of the table."""
        return self.field("phase_programs") + phase * (PHASE_PROGRAMS * 2 * WORD)

    def run_joint(self, programs: Int, rows: Int, taken: Int) -> None:
        """Run what comes before a phase, on one thread, if there is something.

        If it fails, the step is left, before anything was changed.
        """
        start, end = (self.read(programs, 2 * JOINT + i) for i in range(2))
        with self.when(end > start):
            self.wait(taken)
            with self.when(self.thread.equals(0)):
                size = self.field("tile_rows")
                self.write(self.frame, (rows + size - 1) // size, ROWS)
                self.write(self.frame, self.field("workspaces"), WORKSPACE)
                self.write(self.frame, self.field("gradient"), SUMS)
                found = self.call(self.run_until_failure, start, end, self.frame)
                with self.when(found.differs(0)):
                    self.write_shared(self.job, 1, JOB["failed"])
            self.wait(taken)
            with self.when(self.read_shared(self.job, JOB["failed"]).differs(0)):
                self.leave(taken)

    @contextmanager
    def own_chunks(self, chunks: Int) -> Iterator[Int]:
        """Write a loop over the thread's share of the chunks; gives a chunk's number."""
        chunk = self.variable(self.thread)
        with self.repeat_while(lambda: chunk.get() < chunks):
            number = chunk.get()
            others = self.field("sums") + (number - 1) * self.field("sum_bytes")
            sums = self.field("gradient").choose(number.equals(0), others)
            self.write(self.frame, sums, SUMS)
            yield number
            chunk.increase(self.threads)

    def run_chunk_ends(self, chunks: Int) -> None:
        """Run what follows all that is written among a chunk's sums."""
        with self.own_chunks(chunks):
            self.run("chunk")

    def run_chunks(self, begin: Int, rows: Int, chunks: Int, programs: Int) -> None:
        """Run a phase of the thread's share of the batch's chunks, tile by tile."""
        apart, size = self.field("tile_bytes"), self.field("tile_rows")
        # Tiles that are kept apart have numbers.
        unit = size.choose(apart > 0, 1)
        units = (rows + unit - 1) // unit
        with self.own_chunks(chunks) as number:
            first, last = units * number // chunks * unit, units * (number + 1) // chunks * unit
            last = last.min(rows)
            place = self.variable(first)
            with self.repeat_while(partial(_is_before, place, last)):
                start = place.get()
                count = (last - start).min(size)
                of_tile = self.field("workspaces") + start // size * apart
                workspace = of_tile.choose(apart > 0, self.workspace)
                self.write(self.frame, workspace, WORKSPACE)
                self.set_share(rows, workspace)
                self.set_rows(begin, start, count)
                # The first tile's sums need no zeros to begin with.
                is_first = start.equals(first)
                number_of_program = self.integer(FIRST_TILE).choose(is_first, NEXT_TILE)
                self.run_tile_program(programs, number_of_program)
                place.set(start + count)

    def sum_blocks(self, chunks: Int) -> None:
        """Sum the chunks' gradients in their order, and their squares; blocks are shared out."""
        with self.own_blocks() as block:
            self.sum_block(block, chunks - 1)

    @contextmanager
    def own_blocks(self) -> Iterator[Int]:
        """Write a loop over the thread's share of the blocks; gives a block's number."""
        blocks = self.field("blocks")
        first = blocks * self.thread // self.threads
        last = blocks * (self.thread + 1) // self.threads
        with self.loop(last, 1, first) as block:
            yield block

    def sum_block(self, block: Int, others: Int) -> None:
        """Add so many other chunks' gradients to the first one's, in a block."""
        shift = block * self.field("block_bytes")
        self.call(
            self.block_sum,
            self.field("gradient") + shift, self.field("block_bytes"),
            self.field("sums") + shift, self.field("sum_bytes"), others,
            self.field("partials") + block * WORD,
        )  # fmt: skip

    def check(self, step: Int, first: Int, chunks: Int) -> None:
        """Leave if a number is not finite; else note the loss and the factor of clipping.

        Every thread does, so that none has to wait for what another found.
        """
        v, b = self.v, self.builder
        double = llvm.DOUBLE
        losses, squares = (_Float(b) for _ in range(2))
        with self.loop(chunks) as chunk:
            others = self.field("sums") + (chunk - 1) * self.field("sum_bytes")
            sums = self.field("gradient").choose(chunk.equals(0), others)
            losses.add(_widened(v, v.load_one(sums + self.field("loss_offset"))))
        is_summed = self.ending <= UPDATE_AFTER_CHECK
        with self.loop(self.field("blocks").choose(is_summed, 0)) as block:
            squares.add(_load_double(b, self.field("partials") + block * WORD))
        total = b.fadd(losses.get(), squares.get())
        # x - x is NaN for what is not finite.
        is_bad = b.fcmp_unordered("!=", b.fsub(total, total), llvm.ir.Constant(double, 0.0))
        with self.when(is_bad):
            with self.when(self.thread.equals(0)):
                self.write_shared(self.job, 1, JOB["failed"])
                with self.when(self.ending.equals(UPDATE_IN_TILE)):
                    self.write_shared(self.job, 1, JOB["spoiled"])
            self.leave(step - first)
        with self.when(self.thread.equals(0)):
            place = self.field("losses") + step * WORD
            b.store(losses.get(), b.inttoptr(place.value, double.as_pointer()))
        with self.when(self.ending.equals(UPDATE_AFTER_CHECK)):
            self.set_factor(squares.get())

    def set_factor(self, squares: Value) -> None:
        """Put what the gradient is clipped by where the update reads it."""
        v, b = self.v, self.builder
        double = llvm.DOUBLE
        root = declare(self.module, "llvm.sqrt.f64", double, [double])
        norm = b.call(root, [squares])
        limit = b.bitcast(self.field("clip_norm").value, double)
        ratio = b.fdiv(limit, norm)
        is_long = b.fcmp_ordered(">", norm, limit)
        factor = b.select(is_long, ratio, llvm.ir.Constant(double, 1.0))
        narrow = factor if v.bits == 64 else b.fptrunc(factor, v.element)
        v.store_one(narrow, self.workspace + self.field("factor_offset"))

    def run_on_blocks(self, program: str, others: Int) -> None:
        """Run one of the job's programs on the thread's share of the blocks, a block at a time.

        Before that, so many other chunks' gradients are added to the first one's.
        """
        size = self.field("block_bytes")
        self.write(self.frame, size // self.v.itemsize, ROWS)
        with self.own_blocks() as block:
            with self.when(others > 0):
                self.sum_block(block, others)
            self.write(self.frame, block * size, BLOCK)
            self.run(program)


def _is_before(place: Variable, end: Int) -> Value:
    return place.get() < end


class _Float:
    """A float64 number that changes while the function runs."""

    def __init__(self, builder: Any) -> None:
        with builder.goto_entry_block():
            self._memory = builder.alloca(llvm.DOUBLE)
        self._builder = builder
        builder.store(llvm.ir.Constant(llvm.DOUBLE, 0.0), self._memory)

    def get(self) -> Value:
        return self._builder.load(self._memory)

    def add(self, value: Value) -> None:
        self._builder.store(self._builder.fadd(self.get(), value), self._memory)


def _widened(v: Vectors, value: Value) -> Value:
    return value if v.bits == 64 else v.builder.fpext(value, llvm.DOUBLE)


def _load_double(builder: Any, address: Int) -> Value:
    return builder.load(builder.inttoptr(address.value, llvm.DOUBLE.as_pointer()))


def emit_program_runner(module: Any, name: str, *, stops: bool = False) -> Any:
    """Write ``run(program, end, frame)``, which calls each instruction's function.

    It returns 1 if one of them does, else 0; it may stop there.
    """
    code = Code(module, name, 3, is_public=False)
    program, end, frame = code.arguments
    place, found = code.variable(program), code.variable()
    with code.repeat_while(lambda: place.get() < end):
        instruction = place.get()
        result = code.call_address(code.read(instruction, FUNCTION), instruction, frame)
        if stops:
            with code.when(result.differs(0)):
                code.leave(1)
        found.set(found.get() | result)
        place.set(instruction + code.read(instruction, LENGTH) * WORD)
    return code.finish(found.get())


def _barrier(module: Any, name: str, pause: str) -> Any:
    """Write ``wait(job, threads)``: it waits until all threads have come; is 1 if they won't."""
    code = Code(module, name, 2, is_public=False)
    job, threads = code.arguments
    arrived, generation, aborted, yielding = (
        JOB[field] for field in ("arrived", "generation", "aborted", "yield_function")
    )
    before = code.read_shared(job, generation)
    with code.when((code.add_shared(job, 1, arrived) + 1).equals(threads)):
        code.write_shared(job, 0, arrived)
        code.add_shared(job, 1, generation)
        code.leave(code.read_shared(job, aborted))
    spins = code.variable()
    with code.repeat_while(lambda: code.read_shared(job, generation).equals(before)):
        with code.when(code.read_shared(job, aborted).differs(0)):
            code.leave(1)
        spins.increase(1)
        code.builder.asm(llvm.ir.FunctionType(llvm.VOID, []), pause, "", [], True)
        with code.when(spins.get() > SPINS):
            # The threads may be more than the free cores.
            code.call_address(code.read(job, yielding))
    return code.finish(code.read_shared(job, aborted))


def _block_sum(module: Any, name: str, bits: int, lanes: int) -> Any:
    """Write ``add(gradient, bytes, sums, sum_bytes, count, partial)``.

    It adds a block of `count` further arrays to the gradient's, in order, and puts the sum of
    the squares, a float64, at `partial`.
    """
    code = Code(module, name, 6, is_public=False)
    v, b = Vectors(code, bits, lanes), code.builder
    gradient, size, sums, sum_bytes, count, partial = code.arguments
    width = lanes * v.itemsize
    squares = [v.variable(v.constant(0.0)) for _ in range(4)]
    with code.loop(size, 4 * width) as start:
        for i, square in enumerate(squares):
            place = start + i * width
            total = v.variable(v.load(gradient + place))
            with code.when(count > 0):
                with code.loop(count) as chunk:
                    more = v.load(sums + chunk * sum_bytes + place)
                    total.set(v.add(total.get(), more))
                v.store(total.get(), gradient + place)
            square.set(v.fma(total.get(), total.get(), square.get()))
    first, second, third, fourth = (square.get() for square in squares)
    joined = v.add(v.add(first, second), v.add(third, fourth))
    result = _widened(v, v.across_lanes(b.fadd, joined))
    b.store(result, b.inttoptr(partial.value, llvm.DOUBLE.as_pointer()))
    return code.finish()

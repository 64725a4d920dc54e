"""A native function while it is written: 64-bit integers, memory, loops and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from typegrad.engines.compiled import llvm

Value: TypeAlias = Any
"""A value of LLVM's; llvmlite has no types for checkers."""

WORD = 8
"""Bytes of an integer."""


class Int:
    """A 64-bit integer of the function that is written; its operators write instructions."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Value) -> None:
        self.builder: Any = builder
        self.value: Value = value

    def __add__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.add(self.value, _value(other)))

    __radd__ = __add__

    def __sub__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.sub(self.value, _value(other)))

    def __mul__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.mul(self.value, _value(other)))

    __rmul__ = __mul__

    def __floordiv__(self, other: Int | int) -> Int:
        """Divide numbers that are not negative."""
        return Int(self.builder, self.builder.udiv(self.value, _value(other)))

    def __or__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.or_(self.value, _value(other)))

    def __lt__(self, other: Int | int) -> Value:
        return self._compare("<", other)

    def __le__(self, other: Int | int) -> Value:
        return self._compare("<=", other)

    def __gt__(self, other: Int | int) -> Value:
        return self._compare(">", other)

    def __ge__(self, other: Int | int) -> Value:
        return self._compare(">=", other)

    def equals(self, other: Int | int) -> Value:
        """Whether both are the same."""
        return self._compare("==", other)

    def differs(self, other: Int | int) -> Value:
        """Whether they are not the same."""
        return self._compare("!=", other)

    def has_bit(self, bit: int) -> Value:
        """Whether the bit of this value (1, 2, 4...) is set."""
        part = self.builder.and_(self.value, llvm.I64(bit))
        return self.builder.icmp_signed("!=", part, llvm.I64(0))

    def min(self, other: Int | int) -> Int:
        """Return the smaller one."""
        return self.choose(self < other, other)

    def max(self, other: Int | int) -> Int:
        """Return the larger one."""
        return self.choose(self > other, other)

    def choose(self, condition: Value, other: Int | int) -> Int:
        """Return this one where the condition holds, else the other."""
        return Int(self.builder, self.builder.select(condition, self.value, _value(other)))

    def _compare(self, relation: str, other: Int | int) -> Value:
        return self.builder.icmp_signed(relation, self.value, _value(other))


class Variable:
    """A 64-bit integer that changes while the function runs."""

    def __init__(self, builder: Any, start: Int | int) -> None:
        with builder.goto_entry_block():
            self._memory = builder.alloca(llvm.I64)
        self._builder = builder
        self.set(start)

    def get(self) -> Int:
        """Return its value at this point."""
        return Int(self._builder, self._builder.load(self._memory))

    def set(self, value: Int | int) -> None:
        """Give it a value."""
        self._builder.store(_value(value), self._memory)

    def increase(self, amount: Int | int) -> None:
        """Add to it."""
        self.set(self.get() + amount)


class Code:
    """Writes a function of integers into a module.

    Parameters
    ----------
    module
        Where the function is added.
    name
        Its name, by which it is found when the module is compiled.
    parameters
        How many integers it takes.
    is_public
        Whether other modules and Python may call it. Functions that are not are called from
        this module only; they stay functions of their own, since copying them to each place of
        use would multiply the code.
    """

    def __init__(self, module: Any, name: str, parameters: int, *, is_public: bool = True) -> None:
        self.module = module
        self.function: Any = llvm.ir.Function(
            module, llvm.ir.FunctionType(llvm.I64, [llvm.I64] * parameters), name
        )
        if not is_public:
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
        self.builder: Any = llvm.ir.IRBuilder(self.function.append_basic_block("entry"))
        self.arguments: list[Int] = [Int(self.builder, argument) for argument in self.function.args]

    def finish(self, result: Int | int = 0) -> Any:
        """End the function; return it."""
        self.builder.ret(_value(result))
        return self.function

    def integer(self, value: int) -> Int:
        """Return a constant."""
        return Int(self.builder, llvm.I64(value))

    def variable(self, start: Int | int = 0) -> Variable:
        """Return a new variable."""
        return Variable(self.builder, start)

    def memory(self, words: int) -> Int:
        """Return the address of memory for so many integers, the function's own."""
        with self.builder.goto_entry_block():
            array = self.builder.alloca(llvm.I64, words)
            return Int(self.builder, self.builder.ptrtoint(array, llvm.I64))

    # -- memory ---------------------------------------------------------------------

    def read(self, address: Int, index: int = 0) -> Int:
        """Return the integer at a place of an array of integers."""
        return Int(self.builder, self.builder.load(self._pointer(address, index)))

    def write(self, address: Int, value: Int | int, index: int = 0) -> None:
        """Put an integer at a place of an array of integers."""
        self.builder.store(_value(value), self._pointer(address, index))

    def read_shared(self, address: Int, index: int = 0) -> Int:
        """Read an integer as other threads left it."""
        pointer = self._pointer(address, index)
        return Int(self.builder, self.builder.load_atomic(pointer, "seq_cst", WORD))

    def write_shared(self, address: Int, value: Int | int, index: int = 0) -> None:
        """Write an integer so that other threads see it."""
        pointer = self._pointer(address, index)
        self.builder.store_atomic(_value(value), pointer, "seq_cst", WORD)

    def add_shared(self, address: Int, amount: Int | int, index: int = 0) -> Int:
        """Add to an integer that threads share; return what it was."""
        pointer = self._pointer(address, index)
        return Int(self.builder, self.builder.atomic_rmw("add", pointer, _value(amount), "seq_cst"))

    def _pointer(self, address: Int, index: int) -> Value:
        return self.builder.inttoptr((address + WORD * index).value, llvm.I64.as_pointer())

    # -- control --------------------------------------------------------------------

    @contextmanager
    def loop(self, stop: Int, step: int = 1, start: Int | int = 0) -> Iterator[Int]:
        """Write ``for i in range(start, stop, step)``; gives i."""
        builder = self.builder
        before = builder.block
        body, after = (builder.append_basic_block(name) for name in ("loop", "after"))
        builder.cbranch(stop > start, body, after)
        builder.position_at_end(body)
        index = builder.phi(llvm.I64)
        index.add_incoming(_value(start), before)
        yield Int(builder, index)
        following = Int(builder, index) + step
        index.add_incoming(following.value, builder.block)
        builder.cbranch(following < stop, body, after)
        builder.position_at_end(after)

    @contextmanager
    def repeat_while(self, condition: Callable[[], Value]) -> Iterator[None]:
        """Write ``while condition():``."""
        builder = self.builder
        test, body, after = (builder.append_basic_block(name) for name in ("test", "body", "after"))
        builder.branch(test)
        builder.position_at_end(test)
        builder.cbranch(condition(), body, after)
        builder.position_at_end(body)
        yield
        builder.branch(test)
        builder.position_at_end(after)

    @contextmanager
    def pieces(self, place: Variable, stop: Int, size: Int | int) -> Iterator[Int]:
        """Write ``while place + size <= stop:``, with ``place += size`` at the end; gives place."""
        with self.repeat_while(lambda: place.get() + size <= stop):
            yield place.get()
            place.increase(size)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Write ``if condition:``."""
        with self.builder.if_then(condition):
            yield

    def leave(self, result: Int | int = 0) -> None:
        """Return from the function at this point; within `when`."""
        self.builder.ret(_value(result))

    def call(self, function: Any, *arguments: Int | int) -> Int:
        """Call a function of this module."""
        values = [_value(argument) for argument in arguments]
        return Int(self.builder, self.builder.call(function, values))

    def call_address(self, address: Int, *arguments: Int | int) -> Int:
        """Call the function of integers that lies at an address."""
        kind = llvm.ir.FunctionType(llvm.I64, [llvm.I64] * len(arguments))
        function = self.builder.inttoptr(address.value, kind.as_pointer())
        return self.call(function, *arguments)


def _value(number: Int | int) -> Value:
    return llvm.I64(number) if isinstance(number, int) else number.value


def declare(module: Any, name: str, result: Any, parameters: Sequence[Any]) -> Any:
    """Return a module's function of this name, declared if it is not there yet."""
    found = module.globals.get(name)
    return found or llvm.ir.Function(module, llvm.ir.FunctionType(result, list(parameters)), name)

"""Vectors of floats as LLVM values: what element-wise kernels and products are written in.

LLVM's own vectoriser gives up on loops whose operands may be the same memory, and does not
know exp or tanh. Here each value is a whole vector from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from typegrad.engines.compiled import llvm
from typegrad.engines.compiled.code import Code, Int, Value, declare


class VectorVariable:
    """A vector that changes while the function runs; LLVM keeps it in a register."""

    def __init__(self, builder: Any, start: Value) -> None:
        with builder.goto_entry_block():
            self._memory = builder.alloca(start.type)
        self._builder = builder
        self.set(start)

    def get(self) -> Value:
        """Return its value at this point."""
        return self._builder.load(self._memory)

    def set(self, value: Value) -> None:
        """Give it a value."""
        self._builder.store(value, self._memory)


class Vectors:
    """Emits arithmetic on vectors of `lanes` floats of `bits` bits.

    Every method takes and returns LLVM values of the vector type, unless it says otherwise.
    NaN passes through every function, as in NumPy.
    """

    def __init__(self, code: Code, bits: int, lanes: int) -> None:
        self.code = code
        self.builder: Any = code.builder
        self.bits = bits
        self.lanes = lanes
        self.element: Any = llvm.ir.FloatType() if bits == 32 else llvm.DOUBLE
        self.type: Any = llvm.ir.VectorType(self.element, lanes)
        self.integer: Any = llvm.ir.IntType(bits)
        self.integers: Any = llvm.ir.VectorType(self.integer, lanes)
        self.itemsize: int = bits // 8
        self.mantissa_bits = 23 if bits == 32 else 52
        self.exponent_bias = 127 if bits == 32 else 1023

    # -- constants and memory -------------------------------------------------------

    def constant(self, value: float) -> Value:
        return llvm.ir.Constant(self.type, [value] * self.lanes)

    def integer_constant(self, value: int) -> Value:
        return llvm.ir.Constant(self.integers, [value] * self.lanes)

    def splat(self, scalar: Value) -> Value:
        """Vector of one float."""
        undefined = llvm.ir.Constant(self.type, llvm.ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, llvm.I32(0))
        return self.builder.shuffle_vector(first, undefined, lane_numbers([0] * self.lanes))

    def load(self, address: Int) -> Value:
        """Vector at an address, at which a float may lie."""
        return self._load(address, self.type)

    def store(self, value: Value, address: Int) -> None:
        """Put a vector of any length, or one float, at an address."""
        self._store(value, address, value.type)

    def alone(self, scalar: Value) -> Value:
        """Return a vector of a float and zeros after it."""
        return self.builder.insert_element(self.constant(0.0), scalar, llvm.I32(0))

    def load_one(self, address: Int) -> Value:
        """Float at an address."""
        return self._load(address, self.element)

    def store_one(self, value: Value, address: Int) -> None:
        """Put a float at an address."""
        self._store(value, address, self.element)

    def load_some(self, address: Int, count: int) -> Value:
        """Load a fixed number of floats: a vector of that length, or one float."""
        kind = self.element if count == 1 else llvm.ir.VectorType(self.element, count)
        return self._load(address, kind)

    def load_first(self, address: Int, count: Int) -> Value:
        """Load so many floats, less than a vector, and zeros; others need not be readable."""
        is_real = self.first_lanes(count)
        pointer = self.type.as_pointer()
        function = declare(
            self.code.module,
            f"llvm.masked.load.v{self.lanes}f{self.bits}.p0",
            self.type,
            [pointer, llvm.I32, is_real.type, self.type],
        )
        place = self.builder.inttoptr(address.value, pointer)
        alignment = llvm.I32(self.itemsize)
        return self.builder.call(function, [place, alignment, is_real, self.constant(0.0)])

    def _load(self, address: Int, kind: Any) -> Value:
        loaded = self.builder.load(self.builder.inttoptr(address.value, kind.as_pointer()))
        loaded.align = self.itemsize
        return loaded

    def _store(self, value: Value, address: Int, kind: Any) -> None:
        pointer = self.builder.inttoptr(address.value, kind.as_pointer())
        self.builder.store(value, pointer).align = self.itemsize

    def prefetch(self, address: Int) -> None:
        """Have the cache line of an address brought to the second-level cache."""
        byte = llvm.ir.IntType(8).as_pointer()
        kinds = [byte, llvm.I32, llvm.I32, llvm.I32]
        function = declare(self.code.module, "llvm.prefetch.p0", llvm.VOID, kinds)
        to_read, nearness, is_data = llvm.I32(0), llvm.I32(2), llvm.I32(1)
        pointer = self.builder.inttoptr(address.value, byte)
        self.builder.call(function, [pointer, to_read, nearness, is_data])

    def variable(self, start: Value) -> VectorVariable:
        """Return a vector that changes while the function runs."""
        return VectorVariable(self.builder, start)

    def first_lanes(self, count: Int) -> Value:
        """Vector of booleans: true in so many lanes, from the first on."""
        numbers = lane_numbers(list(range(self.lanes)))
        total = self.builder.trunc(count.value, llvm.I32)
        undefined = llvm.ir.Constant(numbers.type, llvm.ir.Undefined)
        first = self.builder.insert_element(undefined, total, llvm.I32(0))
        totals = self.builder.shuffle_vector(first, undefined, lane_numbers([0] * self.lanes))
        return self.builder.icmp_signed("<", numbers, totals)

    # -- arithmetic -----------------------------------------------------------------

    def _intrinsic(self, name: str, *arguments: Value) -> Value:
        full = f"llvm.{name}.v{self.lanes}f{self.bits}"
        function = declare(self.code.module, full, self.type, [self.type] * len(arguments))
        return self.builder.call(function, arguments)

    def add(self, a: Value, b: Value) -> Value:
        return self.builder.fadd(a, b, CONTRACT)

    def subtract(self, a: Value, b: Value) -> Value:
        return self.builder.fsub(a, b, CONTRACT)

    def multiply(self, a: Value, b: Value) -> Value:
        return self.builder.fmul(a, b, CONTRACT)

    def divide(self, a: Value, b: Value) -> Value:
        return self.builder.fdiv(a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """A * b + c: rounded once, where the processor has an instruction for that."""
        return self._intrinsic("fmuladd", a, b, c)

    def fused(self, a: Value, b: Value, c: Value) -> Value:
        """A * b + c, rounded once on every processor: slow where it has no instruction for that."""
        return self._intrinsic("fma", a, b, c)

    def by_c_library(self, name: str, *operands: Value) -> Value:
        """Let the C library compute one element after the other."""
        builder, element = self.builder, self.element
        symbol = name if self.bits == 64 else f"{name}f"
        function = declare(self.code.module, symbol, element, [element] * len(operands))
        result: Value = self.constant(0.0)
        for number in range(self.lanes):
            lane = llvm.I32(number)
            arguments = [builder.extract_element(operand, lane) for operand in operands]
            result = builder.insert_element(result, builder.call(function, arguments), lane)
        return result

    def negative(self, a: Value) -> Value:
        return self.builder.fneg(a)

    def absolute(self, a: Value) -> Value:
        return self._intrinsic("fabs", a)

    def sqrt(self, a: Value) -> Value:
        return self._intrinsic("sqrt", a)

    def floor(self, a: Value) -> Value:
        return self._intrinsic("floor", a)

    def copysign(self, size: Value, sign: Value) -> Value:
        return self._intrinsic("copysign", size, sign)

    def compare(self, relation: str, a: Value, b: Value) -> Value:
        """Vector of booleans; all comparisons with NaN are false but ``!=``."""
        if relation == "!=":
            return self.builder.fcmp_unordered("!=", a, b)
        return self.builder.fcmp_ordered(relation, a, b)

    def is_nan(self, a: Value) -> Value:
        return self.builder.fcmp_unordered("uno", a, a)

    def holds_everywhere(self, condition: Value) -> Value:
        """Whether all of a vector of booleans are true."""
        whole = llvm.ir.IntType(self.lanes)
        together = self.builder.bitcast(condition, whole)
        return self.builder.icmp_unsigned("==", together, whole(2**self.lanes - 1))

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        return self.builder.select(condition, a, b)

    def maximum(self, a: Value, b: Value) -> Value:
        """Like np.maximum: NaN if either is."""
        larger = self.select(self.compare(">", a, b), a, b)
        return self.select(self.is_nan(a), a, larger)

    def minimum(self, a: Value, b: Value) -> Value:
        """Like np.minimum: NaN if either is."""
        smaller = self.select(self.compare("<", a, b), a, b)
        return self.select(self.is_nan(a), a, smaller)

    def horner(self, x: Value, coefficients: tuple[float, ...]) -> Value:
        """Polynomial in x, highest power first."""
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.fma(value, x, self.constant(coefficient))
        return value

    # -- the floats' bits -----------------------------------------------------------

    def to_bits(self, a: Value) -> Value:
        return self.builder.bitcast(a, self.integers)

    def from_bits(self, a: Value) -> Value:
        return self.builder.bitcast(a, self.type)

    def flush_denormals(self, a: Value) -> Value:
        """Put zero where a number is denormal, or -0: its exponent has no bit that is 1."""
        exponent = self.integer_constant((2 * self.exponent_bias + 1) << self.mantissa_bits)
        is_small = self.builder.icmp_unsigned(
            "==", self.builder.and_(self.to_bits(a), exponent), self.integer_constant(0)
        )
        return self.select(is_small, self.constant(0.0), a)

    def round_to_integer(self, a: Value) -> tuple[Value, Value]:
        """Nearest whole numbers, as floats and as integers, for |a| < 2^21.

        Adding 1.5 * 2^mantissa_bits leaves the whole number in the low bits; unlike a
        conversion instruction this is defined for NaN too.
        """
        magic = self.constant(1.5 * 2.0**self.mantissa_bits)
        shifted = self.add(a, magic)
        integers = self.builder.sub(self.to_bits(shifted), self.to_bits(magic))
        return self.subtract(shifted, magic), integers

    def power_of_two(self, exponent: Value) -> Value:
        """2^exponent for integer vectors within the exponents of normal numbers."""
        biased = self.builder.add(exponent, self.integer_constant(self.exponent_bias))
        return self.from_bits(self.builder.shl(biased, self.integer_constant(self.mantissa_bits)))

    # -- sums of lanes --------------------------------------------------------------

    def halves(self, value: Value) -> tuple[Value, Value]:
        """Lower and upper half of a vector of any length."""
        count = value.type.count
        low = lane_numbers(list(range(count // 2)))
        high = lane_numbers(list(range(count // 2, count)))
        shuffle = self.builder.shuffle_vector
        return shuffle(value, value, low), shuffle(value, value, high)

    def across_lanes(self, combine: VectorFunction, value: Value) -> Value:
        """Combine all elements, in pairs, to one float."""
        while value.type.count > 2:
            value = combine(*self.halves(value))
        first, second = (self.builder.extract_element(value, llvm.I32(i)) for i in range(2))
        return combine(first, second)

    def sums(self, values: list[Value]) -> Value:
        """Sum each vector's lanes, and lay the sums side by side, a power of two of them.

        Pairs of vectors are folded into one, half of whose lanes belong to each; that takes
        fewer instructions than to sum one vector after the other.
        """
        lanes, shuffle = self.lanes, self.builder.shuffle_vector
        while len(values) > 1 or lanes > 1:
            pairs = list(zip(values[::2], values[1::2] or values, strict=True))
            count = values[0].type.count * min(len(values), 2)
            if lanes == 1:
                values = [shuffle(a, b, lane_numbers(list(range(count)))) for a, b in pairs]
                continue
            lanes //= 2
            starts = range(0, count, 2 * lanes)
            low = lane_numbers([start + i for start in starts for i in range(lanes)])
            high = lane_numbers([start + lanes + i for start in starts for i in range(lanes)])
            values = [self.add(shuffle(a, b, low), shuffle(a, b, high)) for a, b in pairs]
        return values[0]


VectorFunction: TypeAlias = Callable[..., Value]
"""Emits a function of vectors: ``function(*operands) -> vector``."""

CONTRACT = ("contract",)
"""Lets LLVM join a product and a sum to one instruction, which rounds once."""


def lane_numbers(numbers: list[int]) -> Value:
    """Vector of integers, as shuffles take them."""
    return llvm.ir.Constant(llvm.ir.VectorType(llvm.I32, len(numbers)), numbers)

"""A small matrix applied along both axes of a square of vectors, as straight-line vector code.

    out[i, j] = Σₖₗ L[i, k] R[j, l] in[k, l],      L, R (n, d): Winograd's transforms and their transposes

Each in[k, l] and out[i, j] is a vector along the channels, which lie side by side in memory. The compiler's own
vectoriser gives up on so many streams that might overlap, so the instructions are emitted here, through LLVM, with the
coefficients in them. Rows that differ only in signs, as of the points z and -z, share their even and odd parts.

Where a pixel lies is read from a table of offsets, so that the geometry of images stays in NumPy: an offset of -1 is
outside the image, where reading gives zeros and writing is left out. Points are a step apart. The processor's ports to
memory are as busy as its arithmetic, so addresses must not take them up as well: those of pixels are made once for a
run of channels, those of points anew for each vector, in registers.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from fractions import Fraction
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from npgan.kernels.conv.tiles import BOTTOM, CORNER, INSIDE, RIGHT
from npgan.kernels.conv.toom_cook import Matrix, matrices, transposed
from npgan.kernels.vectors import FLAGS, data, lanes, number

_RUN = 128  # channels, in whole vectors, for which addresses are made at once


def matrix(name: str) -> Matrix:
    """Return the matrix of a name.

    "B42" is Bᵀ of F(4, 2), as are A and G; "B42/3" is that of a tile with 3 outputs; "t" after it transposes.
    """
    filter_, _, outputs = name.removesuffix("t").partition("/")
    m, r = int(filter_[1]), int(filter_[2])
    found = dict(zip("AGB", matrices(m, r, int(outputs or m)), strict=True))[filter_[0]]
    return transposed(found) if name.endswith("t") else found


@intrinsic(prefer_literal=True)
def separable(typing, name, count, out, out_at, out_table, before, source, source_at, source_table):
    """Read d² vectors of `count` elements, write n², with L = R.

    Parameters
    ----------
    name : literal str
        Of the matrix.
    count : int
        Elements of a vector.
    out, source : array
        Of one dtype; `out_at` and `source_at` are where the offsets begin.
    out_table, source_table, before : array of int64, or int
        Offsets of the n² and d² vectors, in order of rows; -1 is outside; or the step from one to the next. `before`
        (or None) is where the values in `out` are to which the result is added, -1 for none.
    """
    (found,) = _literals(types.StringLiteral, name)
    signature = types.void(name, types.intp, out, types.intp, out_table, before, source, types.intp, source_table)

    def generate(context, builder, signature, args):
        kinds = out, out_table, None if isinstance(before, types.NoneType) else before, source, source_table
        _emit(context, builder, matrix(found), matrix(found), kinds, args[1:])
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def tile(typing, full, low, right, adds, kind, count, out, out_at, out_table, before, source, source_at, source_table):
    """Do the transform of a tile of that kind.

    Parameters
    ----------
    full, low, right : literal str
        The matrices of tiles inside, and across the rows at the bottom and the columns at the right.
    adds : literal int
        0 where there is nothing `before`.
    kind : int
        `INSIDE`, `RIGHT`, `BOTTOM` or `CORNER`; the rest is as in `separable`.
    """
    names = _literals(types.StringLiteral, full, low, right)
    (added,) = _literals(types.IntegerLiteral, adds)
    signature = types.void(
        full, low, right, adds, types.intp, types.intp, out, types.intp, out_table, before, source, types.intp,
        source_table,
    )  # fmt: skip

    def generate(context, builder, signature, args):
        kinds = out, out_table, before if added else None, source, source_table
        inside, below, beside = map(matrix, names)
        matrices = {INSIDE: (inside, inside), RIGHT: (inside, beside), BOTTOM: (below, inside), CORNER: (below, beside)}
        end = builder.append_basic_block("done")
        switch = builder.switch(args[4], builder.append_basic_block("full"))
        for number_, pair in matrices.items():
            if pair == (inside, inside):
                builder.position_at_end(switch.default)
                if number_ != INSIDE:
                    continue
            else:
                block = builder.append_basic_block("kind")
                switch.add_case(number(number_), block)
                builder.position_at_end(block)
            _emit(context, builder, *pair, kinds, args[5:])
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, generate


def _literals(kind: Any, *given: Any) -> list[Any]:
    if not all(isinstance(each, kind) for each in given):
        raise TypingError("matrices, and whether to add, must be literal")
    return [each.literal_value for each in given]


def _emit(context: Any, builder: Any, down: Matrix, across: Matrix, kinds: Any, args: Any) -> None:
    """Emit the transform; `kinds` are the types of out, its table, before (or None), source and its table."""
    out, out_table, before, source, source_table = kinds
    size, to, to_at, to_offsets, before_offsets, origin, origin_at, origin_offsets = args

    # What has no part in the transform of a smaller tile is left alone.
    needed = [any(column) and any(other) for column in transposed(down) for other in transposed(across)]
    made = [any(row) and any(other) for row in down for other in across]
    to_base = builder.gep(data(context, builder, out, to), [to_at])
    origin_base = builder.gep(data(context, builder, source, origin), [origin_at])
    zeros, beyond = _outside(context, builder, out.dtype)
    width = lanes(str(out.dtype))
    reads = _Places(context, builder, source_table, origin_offsets, needed)
    writes = _Places(context, builder, out_table, to_offsets, made)
    adds = None if before is None else _Places(context, builder, before, before_offsets, made)

    with cgutils.for_range_slice(builder, number(0), size, number(_RUN), size.type) as (run, _):
        left = builder.sub(size, run)
        count = builder.select(builder.icmp_signed("<", left, number(_RUN)), left, number(_RUN))
        froms = reads.along(builder.gep(origin_base, [run]), zeros)
        tos = writes.along(builder.gep(to_base, [run]), beyond)
        earlier = None if adds is None else adds.along(builder.gep(to_base, [run]), zeros)

        def body(width, start):
            emit = Emitter(context, builder, out.dtype, width)
            inputs, results, before = froms(start), tos(start), None if earlier is None else earlier(start)
            n, d = len(down), len(across[0])
            columns = [emit.product(down, [emit.load(at) for at in inputs[j::d]]) for j in range(d)]
            for i in range(n):
                for j, value in enumerate(emit.product(across, [column[i] for column in columns])):
                    k = i * n + j
                    if before is not None:
                        value = builder.fadd(value, emit.load(before[k]), flags=FLAGS)
                    emit.store(results[k], value)

        whole = builder.sub(count, builder.urem(count, number(width)))
        with cgutils.for_range_slice(builder, number(0), whole, number(width), size.type) as (start, _):
            body(width, start)
        with cgutils.for_range_slice(builder, whole, count, number(1), size.type) as (start, _):
            body(1, start)


def _outside(context: Any, builder: Any, dtype: Any) -> tuple[Any, Any]:
    """Return where a run of zeros is, and memory for one that nobody reads."""
    element, name = context.get_value_type(dtype), f"npgan_zeros_{dtype}"
    array = ir.ArrayType(element, _RUN)
    zeros = builder.module.globals.get(name)
    if zeros is None:
        zeros = cgutils.add_global_variable(builder.module, array, name)
        zeros.linkage, zeros.global_constant, zeros.initializer = "internal", True, ir.Constant(array, None)
        zeros.align = 64
    beyond = cgutils.alloca_once(builder, array)
    return builder.bitcast(zeros, element.as_pointer()), builder.bitcast(beyond, element.as_pointer())


class _Places:
    """Where vectors lie: by a table of offsets, or a step apart; those that are `wanted`, and None for the others."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any, wanted: list[bool]) -> None:
        self.builder, self.wanted = builder, wanted
        self.step: Any = value if isinstance(kind, types.Integer) else None
        if self.step is None:
            table = data(context, builder, kind, value)
            self.offsets = [
                builder.load(builder.gep(table, [number(k)])) if each else None for k, each in enumerate(wanted)
            ]

    def along(self, base: Any, outside: Any) -> Any:
        """Return a function of how far a vector is from the base of a run: the addresses."""
        builder = self.builder
        if self.step is not None:
            return lambda start: self._steps(builder.gep(base, [start]))
        nothing = number(0)
        found = [
            offset and builder.select(builder.icmp_signed(">=", offset, nothing), builder.gep(base, [offset]), outside)
            for offset in self.offsets
        ]
        return lambda start: [at and builder.gep(at, [start]) for at in found]

    def _steps(self, base: Any) -> list[Any]:
        builder = self.builder
        # The compiler is not to know that this is the same each time: it would keep all multiples in memory.
        signature = ir.FunctionType(self.step.type, [self.step.type])
        step = builder.asm(signature, "", "=r,0", [self.step], side_effect=True)
        return [
            builder.gep(base, [builder.mul(step, number(k))]) if each else None for k, each in enumerate(self.wanted)
        ]


class Emitter:
    """Vector instructions for one dtype and width."""

    def __init__(self, context: Any, builder: Any, dtype: Any, width: int) -> None:
        self.builder = builder
        self.element = context.get_value_type(dtype)
        self.type = ir.VectorType(self.element, width) if width > 1 else self.element
        self.width, self.bytes = width, dtype.bitwidth // 8

    def load(self, at: Any) -> Any:
        """Return the vector at an address, or zeros where that is None."""
        if at is None:
            return self._splat(0.0)
        return self.builder.load(self.builder.bitcast(at, self.type.as_pointer()), align=self.bytes)

    def store(self, at: Any, value: Any) -> None:
        """Write a vector to an address that is not None."""
        if at is not None:
            self.builder.store(value, self.builder.bitcast(at, self.type.as_pointer()), align=self.bytes)

    def product(self, rows: Matrix, values: list[Any]) -> list[Any]:
        """Return rows · values; rows, or columns, that differ only in signs share their even and odd parts."""
        columns = transposed(rows)
        for i, column in enumerate(columns):
            twin = next((k for k in range(i + 1, len(columns)) if _differ_in_signs(column, columns[k])), None)
            if twin is not None and any(column):
                even, odd = _halves(column, columns[twin])
                pair = (
                    self.builder.fadd(values[i], values[twin], flags=FLAGS),
                    self.builder.fsub(values[i], values[twin], flags=FLAGS),
                )
                rest = [k for k in range(len(columns)) if k not in (i, twin)]
                return self.product(
                    transposed((even, odd, *(columns[k] for k in rest))), [*pair, *(values[k] for k in rest)]
                )
        found: list[Any] = [None] * len(rows)
        for i, row in enumerate(rows):
            if found[i] is not None:
                continue
            twin = next((k for k in range(i + 1, len(rows)) if _differ_in_signs(row, rows[k])), None)
            if twin is None:
                found[i] = self.sum(row, values)
                continue
            even, odd = _halves(row, rows[twin])
            found[i], found[twin] = self._twins(even, odd, values)
        return found

    def _twins(self, even: tuple[Fraction, ...], odd: tuple[Fraction, ...], values: list[Any]) -> tuple[Any, Any]:
        """Return the sum and the difference of two rows' parts; where that helps, a factor goes to multiply-adds."""
        builder, total, factor = self.builder, self.sum(even, values), _factor(odd)
        part = self.sum(tuple(c / factor for c in odd), values)
        if factor == 1:
            return builder.fadd(total, part, flags=FLAGS), builder.fsub(total, part, flags=FLAGS)
        return self._fused(part, factor, total), self._fused(builder.fneg(part, flags=FLAGS), factor, total)

    def _fused(self, value: Any, factor: Fraction, total: Any) -> Any:
        # Not a product and a sum: there are two such sums, and one product of both would be made for itself.
        kind = (f"v{self.width}" if self.width > 1 else "") + f"f{self.bytes * 8}"
        signature = ir.FunctionType(self.type, [self.type] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, signature, f"llvm.fmuladd.{kind}")
        return self.builder.call(function, [value, self._splat(float(factor)), total])

    def sum(self, row: tuple[Fraction, ...], values: list[Any]) -> Any:
        """Return Σ row[k] values[k]."""
        builder, total = self.builder, None
        # Those with coefficient 1 first: what follows can be a fused multiply-add.
        for c, value in sorted(zip(row, values, strict=True), key=lambda each: each[0] != 1):
            if c == 0:
                continue
            if c == -1 and total is not None:
                total = builder.fsub(total, value, flags=FLAGS)
                continue
            term = value if c == 1 else builder.fmul(value, self._splat(float(c)), flags=FLAGS)
            total = term if total is None else builder.fadd(total, term, flags=FLAGS)
        return self._splat(0.0) if total is None else total

    def _splat(self, number: float) -> Any:
        return ir.Constant(self.type, [number] * self.width if self.width > 1 else number)


def _factor(row: tuple[Fraction, ...]) -> Fraction:
    """Return what to divide by so that one coefficient is 1 and the others are exact; 1 where one is ±1 already."""
    nonzero = [c for c in row if c]
    if 1 in nonzero or -1 in nonzero:
        return Fraction(1)
    return next((f for f in nonzero if all((c / f).denominator.bit_count() == 1 for c in nonzero)), Fraction(1))


def _halves(row: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> Matrix:
    """Return the part of a row that another shares, and the part of which it has the opposite."""
    same = tuple(c if c == its else Fraction(0) for c, its in zip(row, other, strict=True))
    return same, tuple(c - kept for c, kept in zip(row, same, strict=True))


def _differ_in_signs(row: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> bool:
    return row != other and all(abs(a) == abs(b) for a, b in zip(row, other, strict=True))

"""A small matrix applied along both axes of a square of vectors, as straight-line vector code.

    out[i, j] = Σₖₗ L[i, k] R[j, l] in[k, l],      L, R (n, d): Winograd's transforms and their transposes

Each in[k, l] and out[i, j] is a vector along the channels, which lie side by side in memory. The compiler's own
vectoriser gives up on so many streams that might overlap, so the instructions are emitted here, through LLVM, with the
coefficients in them. Rows that differ only in signs, as of the points z and -z, share their even and odd parts.

Where a vector lies is read from a table of offsets, so that the geometry of images stays in NumPy: an offset of -1 is
outside the image, where reading gives zeros and writing is left out.
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
        Of one dtype; `out_at` and `source_at` are added to the offsets of the tables.
    out_table, source_table, before : array of int64
        Offsets of the n² and d² vectors, in order of rows; -1 is outside. `before` (or None) is where the values in
        `out` are to which the result is added, -1 for none.
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
    n, d = len(down), len(down[0])

    def table(kind, value, size):
        at = data(context, builder, kind, value)
        return [builder.load(builder.gep(at, [number(k)])) for k in range(size)]

    to_base = builder.gep(data(context, builder, out, to), [to_at])
    origin_base = builder.gep(data(context, builder, source, origin), [origin_at])
    reads, writes = table(source_table, origin_offsets, d * d), table(out_table, to_offsets, n * n)
    adds = None if before is None else table(before, before_offsets, n * n)

    def body(width, start):
        emit = _Emitter(context, builder, out.dtype, width)
        base = builder.gep(origin_base, [start])
        inputs = [emit.load(base, offset) for offset in reads]
        columns = [emit.product(down, inputs[j::d]) for j in range(d)]
        results = [emit.product(across, [column[i] for column in columns]) for i in range(n)]
        flat = [value for row in results for value in row]
        base = builder.gep(to_base, [start])
        if adds is not None:
            earlier = [emit.load(base, offset) for offset in adds]
            flat = [builder.fadd(a, b, flags=FLAGS) for a, b in zip(flat, earlier, strict=True)]
        for value, offset in zip(flat, writes, strict=True):
            emit.store(base, offset, value)

    width = number(lanes(str(out.dtype)))
    whole = builder.udiv(size, width)
    with cgutils.for_range(builder, whole) as loop:
        body(width.constant, builder.mul(loop.index, width))
    done = builder.mul(whole, width)
    with cgutils.for_range(builder, builder.sub(size, done)) as loop:
        body(1, builder.add(done, loop.index))


class _Emitter:
    """Vector instructions for one dtype and width."""

    def __init__(self, context: Any, builder: Any, dtype: Any, width: int) -> None:
        self.builder = builder
        self.element = context.get_value_type(dtype)
        self.type = ir.VectorType(self.element, width) if width > 1 else self.element
        self.width, self.bytes = width, dtype.bitwidth // 8
        name = f"npgan_zeros_{dtype}_{width}"
        array = ir.ArrayType(self.element, width)
        zeros = builder.module.globals.get(name)
        if zeros is None:
            zeros = cgutils.add_global_variable(builder.module, array, name)
            zeros.linkage, zeros.global_constant, zeros.initializer = "internal", True, ir.Constant(array, None)
        self.zeros = builder.bitcast(zeros, self.element.as_pointer())
        self.beyond = builder.bitcast(cgutils.alloca_once(builder, array), self.element.as_pointer())

    def _vector(self, base: Any, offset: Any, outside: Any) -> Any:
        builder = self.builder
        inside = builder.icmp_signed(">=", offset, ir.Constant(offset.type, 0))
        at = builder.select(inside, builder.gep(base, [offset]), outside)
        return builder.bitcast(at, self.type.as_pointer())

    def load(self, base: Any, offset: Any) -> Any:
        return self.builder.load(self._vector(base, offset, self.zeros), align=self.bytes)

    def store(self, base: Any, offset: Any, value: Any) -> None:
        self.builder.store(value, self._vector(base, offset, self.beyond), align=self.bytes)

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
            even, odd = (self.sum(half, values) for half in _halves(row, rows[twin]))
            found[i] = self.builder.fadd(even, odd, flags=FLAGS)
            found[twin] = self.builder.fsub(even, odd, flags=FLAGS)
        return found

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


def _halves(row: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> Matrix:
    """Return the part of a row that another shares, and the part of which it has the opposite."""
    same = tuple(c if c == its else Fraction(0) for c, its in zip(row, other, strict=True))
    return same, tuple(c - kept for c, kept in zip(row, same, strict=True))


def _differ_in_signs(row: tuple[Fraction, ...], other: tuple[Fraction, ...]) -> bool:
    return row != other and all(abs(a) == abs(b) for a, b in zip(row, other, strict=True))

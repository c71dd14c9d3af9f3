"""An image of few channels from features, which is the data gradient of `gather`.

At stride s pixel s i + p of the image collects from r = ⌈K / s⌉ features along each axis,

    image[s i + p] = Σ_a Σ_o features[i - a, o] w[s a + p, o]

so each feature is multiplied by all of w at once, (pixels, O) · (O, taps times channels), a sample at a time, and the
products wait in the cache. The taps are in order of a: what a cell of s × s pixels collects from a feature are then
neighbours, and a cell is a sum of r × r short vectors (where a phase p has a tap less, of a 0). Features that are not
there are a row of zeros.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import alone, over_shares, thread_count
from npgan.kernels.after import After
from npgan.kernels.conv.finish import finish, prepare
from npgan.kernels.conv.outer import BLOCKS, outer, vectors_of
from npgan.kernels.conv.scratch import arrays
from npgan.kernels.conv.tiles import steps, whole
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.vectors import FLAGS, data, lanes, number

_TERMS = 64  # in a part of a sum, for the sake of its rounding
_LINE = 16  # elements that are asked for at once: a cache line in float32


class _Cells(NamedTuple):
    """Cells of s × s pixels that cover an image.

    Attributes
    ----------
    sources : (cells, r²)
        Where what a cell is the sum of begins, in rows of products; the last row is 0.
    counts : (int, int)
        Of cells.
    before : (int, int)
        Pixels of the first cell that are outside the image.
    """

    sources: Array
    counts: Pair
    before: Pair


def _taps(w: Shape, stride: Pair) -> Pair:
    """Return r: how many features along each axis a pixel collects from."""
    return -(-w[0] // stride[0]), -(-w[1] // stride[1])


def _width(w: Shape, stride: Pair) -> int:
    """Return how many products a feature has, filled up to whole vectors."""
    return whole(prod(_taps(w, stride)) * prod(stride) * w[2])


@lru_cache(maxsize=64)
def _cells(image: Shape, w: Shape, features: Shape, stride: Pair, padding: Pads) -> _Cells:
    """Return those of an image (H, W) and features (OH, OW)."""
    (sh, sw), (top, left), (oh, ow) = stride, (padding[0][0], padding[1][0]), features
    first = top // sh, left // sw
    counts = (image[0] - 1 + top) // sh + 1 - first[0], (image[1] - 1 + left) // sw + 1 - first[1]
    ra, rb = _taps(w, stride)
    i, j, a, b = np.ogrid[: counts[0], : counts[1], :ra, :rb]
    row, column = i + first[0] - a, j + first[1] - b
    there = (row >= 0) & (row < oh) & (column >= 0) & (column < ow)
    width, cell = _width(w, stride), sh * sw * w[2]
    sources = np.where(there, (row * ow + column) * width + (a * rb + b) * cell, oh * ow * width)
    return _Cells(sources.reshape(-1, ra * rb).astype(np.int64), counts, (top % sh, left % sw))


@kernel
def _by_tap(b, w, stride):
    # w (KH, KW, I, O) -> b (O, a, b, p, q, I and more), 0 where there is none
    b[:] = 0
    kh, kw, few, many = w.shape
    sh, sw = stride
    across = (kw + sw - 1) // sw
    for y in range(kh):
        for x in range(kw):
            at = ((y // sh * across + x // sw) * sh + y % sh) * sw + x % sw
            for c in range(few):
                for o in range(many):
                    b[o, at * few + c] = w[y, x, c, o]


@intrinsic(prefer_literal=True)
def _add_rows(typing, count, lines, line, out, out_at, out_step, source, table, entry):
    """Write the sum of `count` vectors of `lines` times `line` elements, a line at a time, `out_step` apart.

    The vectors' offsets in `source` are in `table`, from number `entry` on; the first three are literal.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (count, lines, line)):
        raise TypingError("count, lines and line must be literal")
    n, i = types.none, types.intp
    signature = n(count, lines, line, out, i, i, source, table, i)
    many, height, width = count.literal_value, lines.literal_value, line.literal_value

    def generate(context, builder, signature, args):
        _, _, _, out_, out_at, out_step, source_, table_, entry_ = args
        element, bytes_ = context.get_value_type(out.dtype), out.dtype.bitwidth // 8
        word, total = ir.IntType(32), None
        base = data(context, builder, source, source_)
        offsets = builder.gep(data(context, builder, table, table_), [entry_])
        for k in range(many):
            at = builder.gep(base, [builder.load(builder.gep(offsets, [number(k)]))])
            at = builder.bitcast(at, ir.VectorType(element, height * width).as_pointer())
            term = builder.load(at, align=bytes_)
            total = term if total is None else builder.fadd(total, term, flags=FLAGS)
        to = builder.gep(data(context, builder, out, out_), [out_at])
        for k in range(height):
            picks = ir.Constant(ir.VectorType(word, width), [k * width + lane for lane in range(width)])
            at = builder.gep(to, [builder.mul(out_step, number(k))])
            at = builder.bitcast(at, ir.VectorType(element, width).as_pointer())
            builder.store(builder.shuffle_vector(total, total, picks), at, align=bytes_)
        return context.get_dummy_value()

    return signature, generate


@lru_cache(maxsize=16)
def _kernel(vectors: int, taps: int, sh: int, line: int) -> Any:
    """Compile it for blocks of so many vectors, and cells of sh lines that collect from so many features."""
    rows = BLOCKS[vectors]

    @kernel
    def scatter(
        start, stop, share, image, products, cells, features, b, few, after, pixels, terms, ahead,
        sources, counts, top, left, step,
    ):  # fmt: skip
        # image (N, H, W I), features (N, pixels, O), b (O, taps and channels); a block of pixels at a time, the last
        # one anew
        o, width, p, c = b.shape[0], b.shape[1], products[share], cells[share]
        count = features.shape[1] // o
        p[count * width :] = 0
        across = counts[1] * line
        for n in range(start, stop):
            for first in range(0, count, rows):
                at = min(first, count - rows)
                for k in range(0, o, _TERMS):
                    size = min(_TERMS, o - k)
                    for v in range(0, width, step):
                        outer(
                            rows, vectors, p, at * width + v, width, features[n], 0, pixels, at, terms, k, size, b,
                            k * width + v, width, k, features[n], (at + rows) * o + k * _LINE, ahead,
                        )  # fmt: skip
            for i in range(counts[0]):
                for j in range(counts[1]):
                    _add_rows(
                        taps, sh, line, c, i * sh * across + j * line, across, p, sources, (i * counts[1] + j) * taps
                    )
            for h in range(image.shape[1]):
                into, at = image[n, h], (h + top) * across + left * few
                row = c[at : at + into.size]
                for x in range(into.size):
                    into[x] = row[x]
            finish(image[n].reshape((-1, few)), after, n)

    return scatter


def shapes(image: Shape, w: Shape, features: Shape, stride: Pair, padding: Pads) -> list[Shape]:
    """Return the shapes of a sample's products and cells, and of w by taps."""
    threads, width = thread_count(), _width(w, stride)
    counts = _cells(image[1:3], w, features[1:3], stride, padding).counts
    products, cells = (features[1] * features[2] + 1) * width, prod(counts) * prod(stride) * w[2]
    return [(threads, products), (threads, cells), (w[3], width)]


def scatter(
    image: Array,
    scratch: Array,
    features: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    after: After,
) -> None:
    """Features (N, OH, OW, O), w (KH, KW, I, O) -> image (N, H, W, I)."""
    n, (few, many) = len(image), w.shape[2:]
    plan = _cells(image.shape[1:3], w.shape, features.shape[1:3], stride, padding)
    products, cells, b = arrays(scratch, shapes(image.shape, w.shape, features.shape, stride, padding))
    alone(_by_tap, b, w, stride)
    vectors = vectors_of(b.shape[1], w.dtype)
    over_shares(
        _kernel(vectors, prod(_taps(w.shape, stride)), stride[0], stride[1] * few),
        n,
        features.size * prod(w.shape[:3]) // 32,
        image.reshape(n, image.shape[1], -1),
        products,
        cells,
        features.reshape(n, -1),
        b,
        few,
        prepare(after, image),
        steps(features.shape[1] * features.shape[2], many),
        steps(many, 1),
        steps(_TERMS, _LINE),
        plan.sources,
        plan.counts,
        *plan.before,
        vectors * lanes(w.dtype),
    )

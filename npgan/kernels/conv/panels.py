"""Winograd's algorithm where the weight is large: threads share panels of it, or of its gradient.

All tiles of some samples are transformed first. Then each thread takes some columns of the transformed weight, a panel,
makes it, and multiplies the tiles by it while it is in its cache; the weight gradient likewise makes a panel of dU and
transforms it back at once. So neither U nor dU, which may be many times the size of x, is ever in memory as a whole,
and the sums of dw are made in the same order whatever the number of threads. The mathematics is in `winograd`.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.after import After
from npgan.kernels.conv.finish import finish, prepare
from npgan.kernels.conv.outer import BLOCKS, MORE, outer, vectors_of
from npgan.kernels.conv.scratch import arrays
from npgan.kernels.conv.separable import separable, tile
from npgan.kernels.conv.tiles import Scheme, Tables, spread, steps, tables, tap_offsets, turned_shape, whole
from npgan.kernels.conv.transforms import names_of
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.transpose import transpose
from npgan.kernels.vectors import lanes

_ELEMENTS = 11 << 16  # of V and M, of the samples that are transformed together: 3 MB in float32
_ROWS = 128  # tiles of them, at the least: with fewer, making U or dU is too much of the work
_WIDTH = 64  # of a panel, at the most
_TERMS = 128  # in a part of a sum, for the sake of its rounding, and so that what is multiplied stays in the cache
_LINES = 96  # of tiles in a part of dU, likewise


@lru_cache(maxsize=32)
def _into_points(scheme: Scheme, rest: Pair, letter: str) -> Any:
    """Compile the transform of images to tiles' points."""
    full, low, right = names_of(letter, scheme, rest, back=False)

    @kernel
    def transform(start, stop, points, images, pixels, kinds, of_phase, of_point, step):
        # images (N, H W C) -> points (tiles, N, points, channels of all phases), the samples [start, stop)
        channels = images.shape[2]
        for n in range(start, stop):
            for t in range(pixels.shape[0]):
                at = (t * images.shape[0] + n) * step
                for phase in range(pixels.shape[1]):
                    offsets = pixels[t, phase]
                    tile(
                        full, low, right, 0, kinds[t], channels, points, at + phase * of_phase, of_point, offsets,
                        images[n], 0, offsets,
                    )  # fmt: skip

    return transform


@lru_cache(maxsize=32)
def _from_points(scheme: Scheme, rest: Pair, letter: str) -> Any:
    """Compile the transform of tiles' points to images; tiles of x overlap and are added."""
    full, low, right = names_of(letter, scheme, rest, back=True)
    adds = int(letter == "B")

    @kernel
    def transform(start, stop, images, points, after, of_all, pixels, seen, kinds, of_phase, of_point, step, clear):
        channels = images.shape[2]
        for n in range(start, stop):
            if clear:
                images[n] = 0
            for t in range(pixels.shape[0]):
                at = (t * images.shape[0] + n) * step
                for phase in range(pixels.shape[1]):
                    offsets, before = pixels[t, phase], seen[t, phase]
                    tile(
                        full, low, right, adds, kinds[t], channels, images[n], 0, offsets, before, points,
                        at + phase * of_phase, of_point,
                    )  # fmt: skip
            finish(images[n], after, of_all + n)

    return transform


@lru_cache(maxsize=16)
def _kernels(scheme: Scheme, vectors: int) -> Any:
    """Compile the products, with panels of so many vectors."""
    G, Gt = f"G{scheme.name}", f"G{scheme.name}t"
    height = BLOCKS[vectors]

    @kernel
    def multiply(
        start, stop, share, c, c_step, c_point, c_phase, a, a_step, a_point, a_rows, terms, us, turns, w, plane, taps,
        width, spans, samples, turned, lines,
    ):  # fmt: skip
        # c (rows, points, columns) = a (rows, points, terms of all phases) · U of w (taps, I, O), taps (phases, r²)
        # Or, `turned`, of w exchanged to (taps, O, I), in `turns`; then it is c that has phases, each at its c_phase.
        channels, o, u, exchanged, flat = w.shape[1], w.shape[2], us[share], turns[share], w.reshape(w.size)
        many = channels if turned else o
        of_a_phase, phases = (many + width - 1) // width, 1 if turned else taps.shape[0]
        for panel in range(start, stop):
            first = panel % of_a_phase * width
            count = min(width, many - first)
            column = panel // of_a_phase * c_phase + first
            for phase in range(phases):
                places = taps[panel // of_a_phase + phase]
                if turned:
                    for tap in range(places.size):
                        place = places[tap]
                        if place < 0:
                            continue
                        tap_of_w = (place // (o * width) * channels + first) * o
                        transpose(exchanged, place, width, flat, tap_of_w, o, count, o)
                    for j in range(o):
                        separable(G, count, u, j * width, plane, None, exchanged, j * width, places)
                else:
                    for i in range(channels):
                        separable(G, count, u, i * width, plane, None, w, i * o + first, places)
                for point in range(spans.shape[0]):
                    for k in range(0, terms.size, _TERMS):
                        size = min(_TERMS, terms.size - k)
                        soon = point * plane + (k + size) * width
                        for row in range(spans[point, 0] * samples, spans[point, 1] * samples, height):
                            outer(
                                height, vectors, c, row * c_step + point * c_point + column, c_step, a,
                                point * a_point + phase * a_step, a_rows, row, terms, k, size, u,
                                point * plane + k * width, width, phase + k, u,
                                soon + min(row // height, 3) * size * 16, lines,
                            )  # fmt: skip

    @kernel
    def gradient(
        start, stop, share, dw, us, v, v_step, v_point, columns, lines, m, m_step, m_point, plane, taps, nothing,
        width, spans, samples, accumulate,
    ):  # fmt: skip
        # dw (taps, I, O) = Gᵀ Vᵀ M G; v (rows, points, columns of V, filled up); of panels of M's columns, the phases
        channels, o, u = dw.shape[1], dw.shape[2], us[share]
        for part in range(start, stop):
            first, phase = part // taps.shape[0] * width, part % taps.shape[0]
            for point in range(spans.shape[0]):
                begin, end = spans[point, 0] * samples, spans[point, 1] * samples
                v_at = point * v_point + phase * v_step
                for row in range(begin, end, _LINES):
                    for k in range(0, channels, height):
                        outer(
                            height, vectors, u, point * plane + k * width, width, v, v_at, columns, k, lines, row,
                            min(_LINES, end - row), m, row * m_step + point * m_point + first, m_step, row - begin, v,
                            v_at + row * lines[1] + k + 32, lines,
                        )  # fmt: skip
                if begin == end:
                    u[point * plane : point * plane + channels * width] = 0
            before = taps[phase] if accumulate else nothing
            for c in range(channels):
                separable(Gt, min(width, o - first), dw, c * o + first, taps[phase], before, u, c * width, plane)

    return multiply, gradient


def _samples(scheme: Scheme, n: int, w: Shape, y: Shape) -> int:
    """Return how many samples are transformed together."""
    tiles = prod(scheme.tiles(y))
    return min(n, max(_ELEMENTS // (tiles * sum(_points(scheme, w))), -(-_ROWS // tiles)))


def _points(scheme: Scheme, w: Shape) -> tuple[int, int]:
    """Return the elements of a tile's points in V, and in M."""
    return scheme.n**2 * spread(scheme.stride**2 * whole(w[2])), scheme.n**2 * spread(whole(w[3]))


def shapes(scheme: Scheme, n: int, w: Shape, y: Shape) -> list[Shape]:
    """Return the shapes of v, m, and each thread's panels of u and of w."""
    rows, threads = _samples(scheme, n, w, y) * prod(scheme.tiles(y)) + MORE, thread_count()
    v, m = _points(scheme, w)
    deep = max(whole(w[2]), whole(w[3]))
    panel = scheme.n**2 * ((deep + MORE) * _WIDTH + 16)
    return [(rows * v,), (rows * m,), (threads, panel), (threads, prod(w[:2]) * deep * _WIDTH)]


@lru_cache(maxsize=8)
def _nowhere(count: int) -> Array:
    """Return offsets where there is nothing to add to."""
    return np.full(count, -1, np.int64)


class _Group:
    """Some samples' points, and where they are."""

    def __init__(self, scheme: Scheme, at: Tables, w: Shape, y: Shape, arrays: list[Array], samples: int) -> None:
        self.scheme, self.at, self.rest, self.samples = scheme, at, scheme.rest(y), samples
        self.v, self.m, self.us, self.turns = arrays
        phases, self.channels = scheme.stride**2, whole(w[2])
        self.v_point, self.m_point = spread(phases * self.channels), spread(whole(w[3]))
        self.v_row, self.m_row = (scheme.n**2 * each for each in (self.v_point, self.m_point))
        self.rows = len(at.x) * samples

    def take(self, images: Array, of_y: bool) -> None:
        """Transform samples of x, or of y, to points."""
        at, n = self.at, len(images)
        letter, into, pixels = ("A", self.m, at.y) if of_y else ("B", self.v, at.x)
        layout = (0, self.m_point, self.m_row) if of_y else (self.channels, self.v_point, self.v_row)
        kernel = _into_points(self.scheme, self.rest, letter)
        flat = images.reshape(n, -1, images.shape[3])
        over_samples(kernel, n, images.size * 4, into, flat, pixels, at.kinds, *layout)

    def give(self, images: Array, of_y: bool, *finish: Any) -> None:
        """Transform points to samples of y, or of x, and finish them."""
        at, n = self.at, len(images)
        letter, source, pixels = ("A", self.m, at.y) if of_y else ("B", self.v, at.x)
        layout = (0, self.m_point, self.m_row) if of_y else (self.channels, self.v_point, self.v_row)
        kernel = _from_points(self.scheme, self.rest, letter)
        flat = images.reshape(n, -1, images.shape[3])
        clear = not of_y and not at.covered
        over_samples(kernel, n, images.size * 4, flat, source, *finish, pixels, at.seen, at.kinds, *layout, clear)

    def multiply(self, w: Array, turned: bool, gradient: bool) -> None:
        """M = V U, or V = M Uᵀ for the data gradient; `turned` is as in `convolve`."""
        scheme, phases, points = self.scheme, self.scheme.stride**2, self.scheme.n**2
        kernel_size, (channels, o) = w.shape[0], w.shape[2:]
        few, many = (o, channels) if turned or gradient else (channels, o)
        out = whole(many)
        vectors = vectors_of(out, w.dtype)
        width = vectors * lanes(w.dtype)
        multiply, _ = _kernels(scheme, vectors)
        to, source = (self.m, self.m_row, self.m_point, 0), (self.v, self.channels, self.v_point)
        a_row = self.v_row
        if gradient:
            to, source = (self.v, self.v_row, self.v_point, self.channels), (self.m, 0, self.m_point)
            a_row = self.m_row
        turns = turned or gradient
        over_shares(
            multiply,
            -(-many // width) * (phases if gradient else 1),
            self.rows * points * few * out * phases // 32,
            *to,
            *source,
            steps(self.rows + MORE, a_row),
            steps(few, 1),
            self.us,
            self.turns,
            w.reshape(-1, channels, o),
            few * width + 16,
            tap_offsets(scheme, kernel_size, o * width if turns else channels * o, turned),
            width,
            self.at.spans,
            self.samples,
            turns,
            steps(_TERMS, 16),
        )

    def correlate(self, dw: Array, accumulate: bool) -> None:
        """Write dw = Gᵀ (Vᵀ M) G, or add it."""
        scheme, phases, points = self.scheme, self.scheme.stride**2, self.scheme.n**2
        kernel_size, (channels, o) = dw.shape[0], dw.shape[2:]
        vectors = vectors_of(whole(o), dw.dtype)
        width = vectors * lanes(dw.dtype)
        _, gradient = _kernels(scheme, vectors)
        over_shares(
            gradient,
            -(-o // width) * phases,
            self.rows * points * channels * o * phases // 32,
            dw.reshape(-1, channels, o),
            self.us,
            self.v,
            self.channels,
            self.v_point,
            steps(channels + MORE, 1),
            steps(self.rows + _LINES, self.v_row),
            self.m,
            self.m_row,
            self.m_point,
            (channels + MORE) * width + 16,
            tap_offsets(scheme, kernel_size, channels * o, reverse=False),
            _nowhere(scheme.r**2),
            width,
            self.at.spans,
            self.samples,
            accumulate,
        )


def _groups(scheme: Scheme, n: int, x: Shape, w: Shape, y: Shape, padding: Pads, scratch: Array) -> Any:
    """Yield ranges of samples, and where their points go."""
    found, step = arrays(scratch, shapes(scheme, n, w, y)), _samples(scheme, n, w, y)
    at = tables(scheme, x[1:], w, y[1:], padding)
    for first in range(0, n, step):
        count = min(step, n - first)
        yield slice(first, first + count), _Group(scheme, at, w, y, found, count)


def convolve(
    scheme: Scheme,
    out: Array,
    scratch: Array,
    source: Array,
    w: Array,
    padding: Pads,
    turned: bool,
    gradient: bool,
    after: After,
) -> None:
    """Convolve x by w to y; or dy to dx, for the `gradient`.

    Where `turned`, w is taken with its channels exchanged and its taps in opposite order.
    """
    like = turned_shape(w.shape) if turned else w.shape
    x, y = (out, source) if gradient else (source, out)
    finished = prepare(after, out)
    for samples, group in _groups(scheme, len(x), x.shape, like, y.shape, padding, scratch):
        group.take(source[samples], of_y=gradient)
        group.multiply(w, turned, gradient)
        group.give(out[samples], not gradient, finished, samples.start)


def correlate(scheme: Scheme, dw: Array, scratch: Array, dy: Array, x: Array, padding: Pads, accumulate: bool) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (K, K, I, O), written or added to."""
    for samples, group in _groups(scheme, len(x), x.shape, dw.shape, dy.shape, padding, scratch):
        group.take(dy[samples], of_y=True)
        group.take(x[samples], of_y=False)
        group.correlate(dw, accumulate or samples.start > 0)

"""Winograd's algorithm where the weight is large and the tiles are few: its threads share panels instead of samples.

All tiles are transformed first, by samples. Then each thread takes some columns of the transformed weight, a panel,
makes it, and multiplies all tiles by it while it is in its cache; the weight gradient likewise makes a panel of dU and
transforms it back at once. So neither U nor dU, which may be many times the size of x, is ever in memory as a whole.
The mathematics is in `winograd`.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.conv.finish import finish
from npgan.kernels.conv.outer import BLOCKS, MORE, outer, vectors_of
from npgan.kernels.conv.scratch import arrays
from npgan.kernels.conv.separable import separable
from npgan.kernels.conv.tiles import PADDING, Scheme, steps, tables, tap_offsets, turned_shape, whole
from npgan.kernels.conv.vectors import lanes
from npgan.kernels.conv.windows import Pads

_ROWS = 512  # tiles at the most: V and M of all of them are kept
_WIDTH = 64  # of a panel, at the most
_TERMS = 256  # in a part of a sum, for the sake of its rounding
_LINES = 96  # of tiles in a part of dU: few enough to stay in the nearest cache


@lru_cache(maxsize=16)
def _into_points(name: str) -> Any:
    """Compile the transform of images to tiles' points."""

    @kernel
    def transform(start, stop, points, images, pixels, places, step):
        # images (N, H W C) -> points (tiles of all, points, channels of all phases), the samples [start, stop)
        tiles, channels = pixels.shape[0], images.shape[2]
        for n in range(start, stop):
            for t in range(tiles):
                for phase in range(pixels.shape[1]):
                    at = (n * tiles + t) * step
                    separable(name, channels, points, at, places[phase], None, images[n], 0, pixels[t, phase])

    return transform


@lru_cache(maxsize=16)
def _from_points(name: str) -> Any:
    """Compile the transform of tiles' points to images, where tiles that overlap are added."""

    @kernel
    def transform(start, stop, images, points, bias, slope, pixels, seen, places, step, covered):
        tiles, channels = pixels.shape[0], images.shape[2]
        for n in range(start, stop):
            if not covered:
                images[n] = 0
            for t in range(tiles):
                for phase in range(pixels.shape[1]):
                    at, before = (n * tiles + t) * step, seen[t, phase]
                    separable(name, channels, images[n], 0, pixels[t, phase], before, points, at, places[phase])
            finish(images[n], bias, slope)

    return transform


@lru_cache(maxsize=16)
def _kernels(m: int, r: int, vectors: int) -> Any:
    """Compile the products of F(m, r) with panels of so many vectors."""
    G, Gt = f"G{m}{r}", f"G{m}{r}t"
    points, height = (m + r - 1) ** 2, BLOCKS[vectors]

    @kernel
    def multiply(start, stop, share, c, c_step, c_point, a, a_point, a_rows, terms, rows, us, w, planes, taps, width):
        # c (rows, points, columns) = a (rows, points, terms) · u, w (taps, I, O), taps (phases, r²)
        channels, o, u = w.shape[1], w.shape[2], us[share]
        for panel in range(start, stop):
            first = panel * width
            for phase in range(taps.shape[0]):
                for i in range(channels):
                    at, count = (phase * channels + i) * width, min(width, o - first)
                    separable(G, count, u, at, planes, None, w, i * o + first, taps[phase])
            for i in range(points):
                for row in range(0, rows, height):
                    for k in range(0, terms.size, _TERMS):
                        outer(
                            height, vectors, c, row * c_step + i * c_point + first, c_step, a, i * a_point, a_rows, row,
                            terms, k, min(_TERMS, terms.size - k), u, planes[i] + k * width, width, k,
                        )  # fmt: skip

    @kernel
    def multiply_turned(
        start, stop, share, c, c_step, c_point, a, a_point, a_rows, terms, rows, us, w, planes, taps, width, turns
    ):
        # the same with w (taps, I, O) exchanged to (taps, O, I), in `turns`; panels of a phase follow those of another
        channels, o, u, turned = w.shape[1], w.shape[2], us[share], turns[share]
        of_a_phase = (channels + width - 1) // width
        for panel in range(start, stop):
            tap_places, first = taps[panel // of_a_phase], panel % of_a_phase * width
            count = min(width, channels - first)
            for tap in range(tap_places.size):
                place = tap_places[tap]
                source = w[place // (o * width), first : first + count]
                for block in range(0, count, 16):
                    rows_of_w = source[block : block + 16]
                    for j in range(o):
                        into = turned[place + j * width + block :]
                        for lane in range(rows_of_w.shape[0]):
                            into[lane] = rows_of_w[lane, j]
            for j in range(o):
                separable(G, count, u, j * width, planes, None, turned, j * width, tap_places)
            for i in range(points):
                for row in range(0, rows, height):
                    for k in range(0, terms.size, _TERMS):
                        outer(
                            height, vectors, c, row * c_step + i * c_point + panel * width, c_step, a, i * a_point,
                            a_rows, row, terms, k, min(_TERMS, terms.size - k), u, planes[i] + k * width, width, k,
                        )  # fmt: skip

    @kernel
    def gradient(
        start, stop, share, dw, us, v, v_point, columns, lines, m, m_step, m_point, planes, taps, nothing, width,
        channels, o, rows, accumulate,
    ):  # fmt: skip
        # dw (K K I O) = Gᵀ Vᵀ M G; v (rows, points, columns of V, filled up), panels [start, stop) of M's columns
        u, filled = us[share], (columns.size - MORE) // taps.shape[0]
        for panel in range(start, stop):
            first = panel * width
            for i in range(points):
                for row in range(0, rows, _LINES):
                    for k in range(0, columns.size - MORE, height):
                        outer(
                            height, vectors, u, planes[i] + k * width, width, v, i * v_point, columns, k, lines, row,
                            min(_LINES, rows - row), m, row * m_step + i * m_point + first, m_step, row,
                        )  # fmt: skip
            for phase in range(taps.shape[0]):
                before = taps[phase] if accumulate else nothing[phase]
                for c in range(channels):
                    at, count = (phase * filled + c) * width, min(width, o - first)
                    separable(Gt, count, dw, c * o + first, taps[phase], before, u, at, planes)

    return multiply, multiply_turned, gradient


class _Layout(NamedTuple):
    """Where the points of all tiles are: of each phase; from a tile to the next, from a point to the next."""

    places: Array
    row: int
    point: int


@lru_cache(maxsize=64)
def _layout(scheme: Scheme, phases: int, channels: int) -> _Layout:
    point = phases * channels + PADDING
    row = scheme.n**2 * point
    places = steps(scheme.n**2, point) + steps(phases, channels)[:, None]
    return _Layout(places, row, point)


def suits(scheme: Scheme, n: int, y: Shape) -> bool:
    """Return whether there are few enough tiles."""
    return n * prod(scheme.tiles(y)) <= _ROWS


def shapes(scheme: Scheme, n: int, w: Shape, y: Shape) -> list[Shape]:
    """Return the shapes of v, m, and each thread's panels of u and of w."""
    k, o, points = scheme.stride**2 * whole(w[2]), whole(w[3]), scheme.n**2
    rows, threads = (n * prod(scheme.tiles(y)) + MORE) * points, thread_count()
    panel = points * ((max(k, o) + MORE) * _WIDTH + PADDING)
    return [
        (rows * (k + PADDING),),
        (rows * (o + PADDING),),
        (threads, panel),
        (threads, prod(w[:2]) * max(whole(w[2]), o) * _WIDTH),
    ]


def forward(
    scheme: Scheme,
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    padding: Pads,
    turned: bool,
    bias: Array | None,
    slope: float | None,
) -> None:
    """Convolve by w; or, where `turned`, by w with its channels exchanged and its taps in opposite order."""
    like = turned_shape(w.shape) if turned else w.shape
    n, name = len(x), f"{scheme.m}{scheme.r}"
    v, m, us, turns = arrays(scratch, shapes(scheme, n, like, y.shape))
    at = tables(scheme, x.shape[1:], like, y.shape[1:], padding)
    images, result = x.reshape(n, -1, like[2]), y.reshape(n, -1, like[3])
    rows = n * len(at.x)
    to_v, to_m = _layout(scheme, scheme.stride**2, whole(like[2])), _layout(scheme, 1, whole(like[3]))
    over_samples(_into_points(f"B{name}"), n, x.size * 4, v, images, at.x, to_v.places, to_v.row)
    _multiply(scheme, m, to_m, v, to_v, at.inputs, rows, us, turns if turned else None, w, reverse=turned)
    over_samples(
        _from_points(f"A{name}t"), n, y.size * 4, result, m, bias, slope, at.y, at.unseen, to_m.places, to_m.row, True
    )


def backward(
    scheme: Scheme,
    dx: Array,
    dw: Array,
    wanted: tuple[bool, bool],
    scratch: Array,
    dy: Array,
    x: Array,
    w: Array,
    padding: Pads,
    accumulate: bool,
    bias: Array | None,
    slope: float | None,
) -> None:
    """Write the gradients that are `wanted`, dx and dw; the other one's array is not touched."""
    n, name, channels, o = len(dy), f"{scheme.m}{scheme.r}", w.shape[2], w.shape[3]
    v, m, us, turns = arrays(scratch, shapes(scheme, n, w.shape, dy.shape))
    at = tables(scheme, x.shape[1:], w.shape, dy.shape[1:], padding)
    rows, points = n * len(at.x), scheme.n**2
    to_v, to_m = _layout(scheme, scheme.stride**2, whole(channels)), _layout(scheme, 1, whole(o))
    over_samples(_into_points(f"A{name}"), n, dy.size * 4, m, dy.reshape(n, -1, o), at.y, to_m.places, to_m.row)
    if wanted[1]:
        over_samples(
            _into_points(f"B{name}"), n, x.size * 4, v, x.reshape(n, -1, channels), at.x, to_v.places, to_v.row
        )
        columns = scheme.stride**2 * whole(channels)
        vectors = vectors_of(whole(o), w.dtype)
        width = vectors * lanes(w.dtype)
        _, _, gradient = _kernels(scheme.m, scheme.r, vectors)
        over_shares(
            gradient,
            whole(o) // width,
            rows * points * columns * o // 32,
            dw,
            us,
            v,
            to_v.point,
            steps(columns + MORE, 1),
            steps(rows, to_v.row),
            m,
            to_m.row,
            to_m.point,
            steps(points, (columns + MORE) * width + PADDING),
            at.w,
            at.none,
            width,
            channels,
            o,
            rows,
            accumulate,
        )
    if wanted[0]:
        _multiply(scheme, v, to_v, m, to_m, at.outputs, rows, us, turns, w, reverse=False)
        result = dx.reshape(n, -1, channels)
        over_samples(
            _from_points(f"B{name}t"), n, dx.size * 4, result, v, bias, slope, at.x, at.seen, *to_v[:2], at.covered
        )


def _multiply(
    scheme: Scheme,
    c: Array,
    to_c: _Layout,
    a: Array,
    to_a: _Layout,
    terms: Array,
    rows: int,
    us: Array,
    turns: Array | None,
    w: Array,
    reverse: bool,
) -> None:
    """Write a · U to c, for each of the points; with `turns`, U is made of w with its channels exchanged."""
    points, phases = scheme.n**2, scheme.stride**2
    taps, channels, o = w.shape[0] * w.shape[1], w.shape[2], w.shape[3]
    out = whole(o if turns is None else channels)
    vectors = vectors_of(out, w.dtype)
    width = vectors * lanes(w.dtype)
    multiply, multiply_turned, _ = _kernels(scheme.m, scheme.r, vectors)
    args = (
        c,
        to_c.row,
        to_c.point,
        a,
        to_a.point,
        steps(rows + MORE, to_a.row),
        terms,
        rows,
        us,
        w.reshape(taps, channels, o),
        steps(points, terms.size * width + PADDING),
    )
    work = rows * points * terms.size * out // 32
    if turns is None:
        over_shares(multiply, out // width, work, *args, tap_offsets(scheme, channels * o, reverse), width)
    else:
        # c has the phases beside each other
        tap_places, panels = tap_offsets(scheme, o * width, reverse), phases * out // width
        over_shares(multiply_turned, panels, work * phases, *args, tap_places, width, turns)

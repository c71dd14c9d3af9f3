"""Winograd's convolution with fewer multiplications, of stride 1 or, in phases, of stride 2 (Lavin and Gray 2016).

At stride s, split x into its phases, x_p[i] = x[s i + p] along each axis, p in {0 ... s - 1}. With the kernel's index
s a + p and r taps a phase, r = K / s:

    y[o] = Σ_p Σ_a x_p[o + a] w[s a + p],                 a sum of convolutions of stride 1 with r taps an axis.

Each is a minimal filter F(m, r) (see `toom_cook`), nested in two dimensions: n² products for m² r², n = m + r - 1, as 9
for 16 by F(2, 2), 25 for 64 by F(4, 2), 36 for 144 by F(4, 3). The phases are summed inside the product: for each of
the n² points i

    M[i] (tiles, O) = V[i] (tiles, s² I) · U[i] (s² I, O),      V = Bᵀ x B,   U = G w Gᵀ,   y = Aᵀ M A   of each tile

and the two gradients are the same algebra transposed:

    dM = A dy Aᵀ,   dx = B (dM Uᵀ) Bᵀ, where tiles overlap added,   dw = Gᵀ (Vᵀ dM) G, summed over tiles

At stride 1, dx is rather the convolution of dy with the taps in opposite order, which rounds less.

Each thread takes a few samples at a time, so that V and M stay in its cache; all points of a tile lie together, and are
padded, since streams a power of two apart would fall into the same cache sets. One Inf in x becomes NaN in its whole
tile: it stays visible.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.conv import panels as few_tiles
from npgan.kernels.conv.finish import finish
from npgan.kernels.conv.outer import BLOCKS, MORE, outer, vectors_of
from npgan.kernels.conv.scratch import arrays, elements
from npgan.kernels.conv.separable import separable
from npgan.kernels.conv.tiles import PADDING, Scheme, steps, tables, turned_padding, turned_shape, whole
from npgan.kernels.conv.vectors import lanes
from npgan.kernels.conv.windows import Pads

_ROWS = 96  # tiles in a product: few enough for V and M to stay in the cache
_TERMS = 256  # in a part of a sum, for the sake of its rounding


@kernel
def _transpose(start, stop, turned, w):
    # w (taps, I, O) -> turned (taps, O, I)
    for t in range(start, stop):
        for first in range(0, w.shape[1], 16):
            rows = w[t, first : first + 16]
            for o in range(w.shape[2]):
                into = turned[t, o, first : first + 16]
                for c in range(into.size):
                    into[c] = rows[c, o]


@lru_cache(maxsize=16)
def _kernels(m: int, r: int, vectors: int, along_o: int) -> Any:
    """Compile the transforms and products of F(m, r) for panels of so many vectors, and dU's of `along_o`.

    A panel is some columns of U, one row after the other, as `outer` reads them.
    """
    A, G, B = f"A{m}{r}", f"G{m}{r}", f"B{m}{r}"
    At, Gt, Bt = f"{A}t", f"{G}t", f"{B}t"
    points, height, height_u = (m + r - 1) ** 2, BLOCKS[vectors], BLOCKS[along_o]

    @kernel
    def transform_weight(start, stop, u, w, places, taps, width, phase_step, panel_step):
        # w (K, K, I, O) -> u (points, panels, rows, width), the channels [start, stop)
        o = w.shape[3]
        for phase in range(taps.shape[0]):
            for c in range(start, stop):
                for first in range(0, o, width):
                    at = phase * phase_step + first // width * panel_step + c * width
                    separable(G, min(width, o - first), u, at, places, None, w, c * o + first, taps[phase])

    @kernel
    def weight_gradient(start, stop, dw, dus, places, across, taps, nothing, accumulate):
        # dus (shares, points, s² I, O) -> dw (K, K, I, O) = Gᵀ of their sum, the channels [start, stop)
        o = dw.shape[3]
        for phase in range(taps.shape[0]):
            for c in range(start, stop):
                for t in range(dus.shape[0]):
                    before = taps[phase] if t or accumulate else nothing[phase]
                    separable(Gt, o, dw, c * o, taps[phase], before, dus[t], c * across, places[phase])

    @kernel
    def forward(start, stop, share, y, vs, ms, x, u, bias, slope, step, at, panels):
        # y (N, OH OW O), vs and ms (shares, ...), x (N, H W I)
        pixels, _, to, places, middle, inputs, _, v_rows, _, _ = at
        plane, width, columns = panels
        tiles, phases, channels, o = pixels.shape[0], pixels.shape[1], x.shape[2], y.shape[2]
        v, m, vp, mp = vs[share], ms[share], places[0, 1], middle[0, 1]
        for first in range(start, stop, step):
            rows = (min(first + step, stop) - first) * tiles
            for row in range(rows):
                n, t = first + row // tiles, row % tiles
                for phase in range(phases):
                    separable(B, channels, v, row * points * vp, places[phase], None, x[n], 0, pixels[t, phase])
            for i in range(points):
                for c in range(0, columns, width):
                    for row in range(0, rows, height):
                        for k in range(0, inputs.size, _TERMS):
                            outer(
                                height, vectors, m, row * points * mp + i * mp + c, points * mp, v, i * vp, v_rows, row,
                                inputs, k, min(_TERMS, inputs.size - k), u, i * plane + c * inputs.size + k * width,
                                width, k,
                            )  # fmt: skip
            for row in range(rows):
                n, t = first + row // tiles, row % tiles
                separable(At, o, y[n], 0, to[t, 0], None, m, row * points * mp, middle[0])
                if t == tiles - 1:
                    finish(y[n], bias, slope)

    @kernel
    def backward(start, stop, share, dx, dus, vs, ms, dy, x, u, bias, slope, step, at, panels, which):
        # which: wanted are dx, dw, and zeros for the pixels of dx that are in no tile
        pixels, seen, to, places, middle, _, outputs, v_rows, m_rows, v_columns = at
        plane, width, columns, width_u, step_u = panels
        tiles, phases, channels, o = pixels.shape[0], pixels.shape[1], x.shape[2], dy.shape[2]
        v, m, vp, mp, du = vs[share], ms[share], places[0, 1], middle[0, 1], dus[share]
        k = vp - PADDING
        for first in range(start, stop, step):
            rows = (min(first + step, stop) - first) * tiles
            for row in range(rows):
                n, t = first + row // tiles, row % tiles
                separable(A, o, m, row * points * mp, middle[0], None, dy[n], 0, to[t, 0])
            if which[1]:
                for row in range(rows):
                    n, t = first + row // tiles, row % tiles
                    for phase in range(phases):
                        separable(B, channels, v, row * points * vp, places[phase], None, x[n], 0, pixels[t, phase])
                up, across = (k + MORE) * width_u + PADDING, width_u
                for i in range(points):
                    for c in range(0, width_u, step_u):
                        for j in range(0, k, height_u):
                            outer(
                                height_u, along_o, du, i * up + j * across + c, across, v, i * vp, v_columns, j, v_rows,
                                0, rows, m, i * mp + c, points * mp, first - start,
                            )  # fmt: skip
            if which[0]:
                for i in range(points):
                    for c in range(0, columns, width):
                        for row in range(0, rows, height):
                            for j in range(0, o, _TERMS):
                                outer(
                                    height, vectors, v, row * points * vp + i * vp + c, points * vp, m, i * mp, m_rows,
                                    row, outputs, j, min(_TERMS, o - j), u, i * plane + c * o + j * width, width, j,
                                )  # fmt: skip
                for row in range(rows):
                    n, t = first + row // tiles, row % tiles
                    if which[2] and t == 0:
                        dx[n] = 0
                    for phase in range(phases):
                        line, to_x = row * points * vp, pixels[t, phase]
                        separable(Bt, channels, dx[n], 0, to_x, seen[t, phase], v, line, places[phase])
                    if t == tiles - 1:
                        finish(dx[n], bias, slope)

    return transform_weight, weight_gradient, forward, backward


def _shapes(scheme: Scheme, n: int, w: Shape, y: Shape) -> tuple[int, list[Shape]]:
    """Return the samples of a chunk, and the shapes of v, m, u, du and a turned w."""
    th, tw = scheme.tiles(y)
    k, o, points, threads = scheme.stride**2 * whole(w[2]), whole(w[3]), scheme.n**2, thread_count()
    step = min(-(-n // threads), max(1, _ROWS // (th * tw)))
    rows, plane = (step * th * tw + MORE) * points, points * ((k + MORE) * o + PADDING)
    return step, [(threads, rows * (k + PADDING)), (threads, rows * (o + PADDING)), (plane,), (threads, plane), w]


def workspace(scheme: Scheme, x: Shape, w: Shape, y: Shape) -> int:
    """Elements of `scratch`."""
    found = _elements(scheme, x[0], w, y)
    if scheme.stride > 1:
        return found
    return max(found, _elements(_less_rounding(scheme), x[0], turned_shape(w), x))


def _elements(scheme: Scheme, n: int, w: Shape, y: Shape) -> int:
    few = few_tiles.suits(scheme, n, y)
    return elements(few_tiles.shapes(scheme, n, w, y) if few else _shapes(scheme, n, w, y)[1])


def _less_rounding(scheme: Scheme) -> Scheme:
    """Return the scheme of dx: columns' dx is a sum of short sums, and F(4, 3) rounds five times as much as that."""
    return Scheme(3, 3, 1) if (scheme.m, scheme.r) == (4, 3) else scheme


def _turn(turned: Array, w: Array) -> Array:
    """Write w (K, K, I, O) to turned (K, K, O, I), and return it."""
    found = turned.reshape(turned_shape(w.shape))
    over_samples(
        _transpose, w.shape[0] * w.shape[1], w.size, found.reshape(-1, *found.shape[2:]), w.reshape(-1, *w.shape[2:])
    )
    return found


@lru_cache(maxsize=64)
def _places(scheme: Scheme, x: Shape, w: Shape, y: Shape, padding: Pads, rows: int) -> tuple[Array, ...]:
    """Return the offsets that the products read, of chunks of so many tiles."""
    at, row = tables(scheme, x, w, y, padding), np.arange(rows + MORE)
    points = scheme.n**2
    lines = row * points * at.v[0, 1], row * points * at.m[0, 1]
    columns = steps(scheme.stride**2 * whole(w[2]) + MORE, 1)
    return at.x, at.seen, at.y, at.v, at.m, at.inputs, at.outputs, *lines, columns


@lru_cache(maxsize=64)
def _places_of_du(scheme: Scheme, channels: int, o: int) -> Array:
    """Return where the points of each phase are in dU (points, s² I, O), both channels filled up."""
    phases = scheme.stride**2
    return steps(scheme.n**2, (phases * channels + MORE) * o + PADDING) + steps(phases, channels * o)[:, None]


def forward(
    scheme: Scheme,
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    padding: Pads,
    bias: Array | None,
    slope: float | None,
) -> None:
    """x (N, H, W, I), w (K, K, I, O) -> y (N, OH, OW, O)."""
    _forward(scheme, y, scratch, x, w, padding, False, bias, slope)


def _forward(
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
    if few_tiles.suits(scheme, len(x), y.shape):
        few_tiles.forward(scheme, y, scratch, x, w, padding, turned, bias, slope)
        return
    like = turned_shape(w.shape) if turned else w.shape
    n, channels, o = len(x), like[2], like[3]
    step, shapes = _shapes(scheme, n, like, y.shape)
    v, m, u, _, other = arrays(scratch, shapes)
    at = tables(scheme, x.shape[1:], like, y.shape[1:], padding)
    places = _places(scheme, x.shape[1:], like, y.shape[1:], padding, step * len(at.x))
    if turned:
        w = _turn(other, w)
    vectors = vectors_of(whole(o), w.dtype)
    transform_weight, _, product, _ = _kernels(scheme.m, scheme.r, vectors, vectors)
    rows, width = at.inputs.size, vectors * lanes(w.dtype)
    plane = rows * whole(o) + PADDING
    planes = steps(scheme.n**2, plane)
    over_samples(
        transform_weight, channels, w.size, u, w, planes, at.turned if turned else at.w, width, channels * width,
        rows * width,
    )  # fmt: skip
    over_shares(
        product,
        n,
        y.size * 16,
        y.reshape(n, -1, o),
        v,
        m,
        x.reshape(n, -1, channels),
        u,
        bias,
        slope,
        step,
        places,
        (plane, width, whole(o)),
    )


def backward_input(
    scheme: Scheme,
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    padding: Pads,
    bias: Array | None,
    slope: float | None,
) -> None:
    """dy (N, OH, OW, O), w (K, K, I, O) -> dx (N, H, W, I)."""
    if scheme.stride == 1:
        _forward(_less_rounding(scheme), dx, scratch, dy, w, turned_padding(w.shape, padding), True, bias, slope)
    else:
        _backward(scheme, dx, w, (True, False), scratch, dy, dx, w, padding, False, bias, slope)


def backward_weight(
    scheme: Scheme, dw: Array, scratch: Array, dy: Array, x: Array, padding: Pads, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (K, K, I, O), written or added to."""
    _backward(scheme, x, dw, (False, True), scratch, dy, x, dw, padding, accumulate, None, None)


def backward(
    scheme: Scheme,
    dx: Array,
    dw: Array,
    scratch: Array,
    dy: Array,
    x: Array,
    w: Array,
    padding: Pads,
    accumulate: bool,
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I), w (K, K, I, O) -> dx (N, H, W, I) and dw (K, K, I, O)."""
    if scheme.stride == 1:
        backward_weight(scheme, dw, scratch, dy, x, padding, accumulate)
        backward_input(scheme, dx, scratch, dy, w, padding, None, None)
    else:
        _backward(scheme, dx, dw, (True, True), scratch, dy, x, w, padding, accumulate, None, None)


def _backward(
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
    if few_tiles.suits(scheme, len(dy), dy.shape):
        few_tiles.backward(scheme, dx, dw, wanted, scratch, dy, x, w, padding, accumulate, bias, slope)
        return
    n, channels, o = len(dy), w.shape[2], w.shape[3]
    step, shapes = _shapes(scheme, n, w.shape, dy.shape)
    v, m, u, dus, other = arrays(scratch, shapes)
    at = tables(scheme, x.shape[1:], w.shape, dy.shape[1:], padding)
    places = _places(scheme, x.shape[1:], w.shape, dy.shape[1:], padding, step * len(at.x))
    vectors, along_o = vectors_of(whole(channels), w.dtype), vectors_of(whole(o), w.dtype)
    transform_weight, weight_gradient, _, products = _kernels(scheme.m, scheme.r, vectors, along_o)
    width, columns = vectors * lanes(w.dtype), scheme.stride**2 * whole(channels)
    plane = columns * o + PADDING
    if wanted[0]:
        planes = steps(scheme.n**2, plane)
        over_samples(
            transform_weight, o, w.size, u, _turn(other, w), planes, at.w, width, whole(channels) * o, o * width
        )
    count = over_shares(
        products,
        n,
        dy.size * 16,
        dx.reshape(n, -1, channels),
        dus,
        v,
        m,
        dy.reshape(n, -1, o),
        x.reshape(n, -1, channels),
        u,
        bias,
        slope,
        step,
        places,
        (plane, width, columns, whole(o), along_o * lanes(w.dtype)),
        (*wanted, not at.covered),
    )
    if wanted[1]:
        places_u = _places_of_du(scheme, whole(channels), whole(o))
        over_samples(weight_gradient, channels, w.size, dw, dus[:count], places_u, whole(o), at.w, at.none, accumulate)

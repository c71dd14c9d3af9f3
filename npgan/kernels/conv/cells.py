"""Winograd's convolution between an image of few channels and features of many, of 4×4 kernels at stride 2.

The four phases of an image of three channels (see `winograd`) have twelve channels together: enough for the products,
but as one vector, which a tile's transform is made of. So a cell of 2 × 2 pixels is taken as a vector: two lines, each
of the channels of two pixels, which are neighbours in the padded image. A tile of 4 × 4 features sees 5 × 5 cells:

    M[i] (tiles, O) = V[i] (tiles, 4 I) · U[i] (4 I, O),      V = Bᵀ cells B,    features = Aᵀ M A    for each point i
    dU[i] = V[i]ᵀ · dM[i],      dM = A dfeatures Aᵀ,      dw = Gᵀ dU G

by F(4, 2): 25 products for 64. A sample is divided into whole tiles; V, M and U stay in the nearest caches.

The data gradient is `scatter`'s, by the definition: its products fill three quarters of a vector, and Winograd's fewer
were no faster.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from math import prod
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.after import After
from npgan.kernels.conv import scatter
from npgan.kernels.conv.block import block
from npgan.kernels.conv.finish import prepare
from npgan.kernels.conv.padded import pad
from npgan.kernels.conv.scratch import arrays, elements
from npgan.kernels.conv.separable import separable
from npgan.kernels.conv.shares import add_shares
from npgan.kernels.conv.square import CELL, HALF, ask_for, square
from npgan.kernels.conv.tiles import Scheme, spread, steps, tap_offsets
from npgan.kernels.conv.transforms import of_weight
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.moments import measure
from npgan.kernels.vectors import WIDE, lanes

_SCHEME = Scheme(4, 2, 2)
_TILE, _POINTS = _SCHEME.m, _SCHEME.n**2
_LEAST = 64  # of the many channels, and a multiple of it: with fewer, transforming the image is too much of the work
_SUMS = 16 if WIDE else 8  # vectors of a block
_TOGETHER = 16  # tiles whose features are made together: their M stays in the second cache
_TERMS = 64  # tiles in a part of a sum
_V_ROW = _POINTS * CELL


def suits(w: Shape, features: Shape, stride: Pair, dilation: Pair) -> bool:
    """Return whether this is the algorithm for w (KH, KW, I, O) and features (N, OH, OW, O)."""
    return (
        w[:2] == (4, 4)
        and (stride, dilation) == ((2, 2), (1, 1))
        and 2 < w[2] <= 4
        and w[3] % _LEAST == 0
        and features[1] % _TILE == features[2] % _TILE == 0
    )


@kernel
def _of_image(v, padded, line, few, first, count, across):
    # The points of so many tiles' cells -> v (tiles, points, CELL)
    for t in range(count):
        i, j = (first + t) // across, (first + t) % across
        at = 2 * _TILE * (i * line + j * few)
        square("B42", v, t * _V_ROW, 5 * CELL, CELL, padded, at, 2 * line, 2 * few, line, None, 0, 0, 1)


@kernel
def _ask_for_pixel(features, pixel, first, count, across, o):
    # for one pixel of each of so many tiles
    for t in range(first, first + count):
        row, column = t // across * _TILE + pixel // _TILE, t % across * _TILE + pixel % _TILE
        for c in range(0, o, CELL):
            ask_for(features, (row * across * _TILE + column) * o + c)


@lru_cache(maxsize=8)
def _gather(few: int, vectors: int, width: int, bends: int) -> Any:
    """Compile it for so many channels, and blocks of so many vectors, which are of a width."""
    rows, m_row, terms = _SUMS // vectors, spread(_POINTS * width), 2 * few

    @kernel
    def gather(
        start, stop, share, features, padded, v_s, m_s, biases, image, u, bias, slope, moments, size, top, left, across,
    ):  # fmt: skip
        # features (N, pixels, O), image (N, H, W I), u (panels of O, points, terms, width)
        p, v, m, added, o = padded[share], v_s[share], m_s[share], biases[share], features.shape[2]
        tiles, line, panel = features.shape[1] // _TILE**2, size[1] * few, _POINTS * 2 * terms * width
        for c in range(o):
            added[c] = bias[c] if bias.size else 0
        for n in range(start, stop):
            pad(p, size[0], size[1], image[n], top, left)
            for first in range(0, tiles, _TOGETHER):
                here = min(_TOGETHER, tiles - first)
                _of_image(v, p, line, few, first, here, across)
                for c in range(0, o, width):
                    for point in range(_POINTS):
                        if c == 0 and point < _TILE**2:
                            _ask_for_pixel(features[n], point, first, here, across, o)
                        at = c // width * panel + point * 2 * terms * width
                        for row in range(0, here, rows):
                            block(
                                rows, vectors, terms, 0, m, row * m_row + point * width, m_row, v,
                                row * _V_ROW + point * CELL, _V_ROW, 1, HALF, u, at, width, 2,
                            )  # fmt: skip
                    for t in range(here):
                        i, j = (first + t) // across, (first + t) % across
                        at = _TILE * (i * across * _TILE + j) * o + c
                        for e in range(0, width, CELL):
                            square(
                                "A42t", features[n], at + e, across * _TILE * o, o, m, t * m_row + e, 5 * width, width,
                                None, added, c + e, bends, slope,
                            )  # fmt: skip
            if moments.size:
                measure(moments, n, features[n])

    return gather


@lru_cache(maxsize=8)
def _correlate(few: int, vectors: int, width: int) -> Any:
    """Compile it, likewise."""
    m_row, rows = spread(_POINTS * width), 2 * few if few == 3 else few

    @kernel
    def correlate(
        start, stop, share, dws, dus, padded, v_s, m_s, image, features, size, top, left, across, planes, taps,
        panels,
    ):  # fmt: skip
        # dws (shares, taps, I, O), dus (shares, panels of O, points, terms, width), image (N, H, W I)
        p, v, m, du, o = padded[share], v_s[share], m_s[share], dus[share], features.shape[2]
        tiles, line = features.shape[1] // _TILE**2, size[1] * few
        panel = du.size // panels
        du[:] = 0
        for n in range(start, stop):
            pad(p, size[0], size[1], image[n], top, left)
            for first in range(0, tiles, _TERMS):
                here = min(_TERMS, tiles - first)
                _of_image(v, p, line, few, first, here, across)
                for c in range(0, o, width):
                    for t in range(here):
                        i, j = (first + t) // across, (first + t) % across
                        at = _TILE * (i * across * _TILE + j) * o + c
                        for e in range(0, width, CELL):
                            square(
                                "A42", m, t * m_row + e, 5 * width, width, features[n], at + e, across * _TILE * o, o,
                                None, None, 0, 0, 1,
                            )  # fmt: skip
                    for point in range(_POINTS):
                        if c == 0 and point < _TILE**2:  # of those that come next, also in the next sample
                            _ask_for_pixel(features[n], point, first + here, here, across, o)
                        for half in range(2):
                            for k in range(0, 2 * few, rows):
                                block(
                                    rows, vectors, 1, 1, du,
                                    c // width * panel + planes[point] + (half * 2 * few + k) * width, width, v,
                                    point * CELL + half * HALF + k, 1, 0, _V_ROW, m, point * width, m_row, here,
                                )  # fmt: skip
        for c in range(0, o, width):
            for k in range(4 * few):
                separable(
                    "G42t", width, dws[share], k % few * o + c, taps[k // few], None, du,
                    c // width * panel + k * width, planes,
                )  # fmt: skip

    return correlate


def _block(dtype: Any) -> Pair:
    """Return a block's vectors, and their elements: whole cells."""
    vectors = max(4 if WIDE else 2, CELL // lanes(dtype))
    return vectors, vectors * lanes(dtype)


def _shapes(w: Shape, features: Shape, together: int) -> list[Shape]:
    """Return the shapes of each thread's padded image, of its V and M of so many tiles, and of its U."""
    (_, _, few, many), threads = w, thread_count()
    image = (2 * features[1] + 2) * (2 * features[2] + 2) * few + CELL
    return [
        (threads, image),
        (threads, together * _V_ROW),
        (threads, together * spread(_POINTS * _LEAST)),
        (threads, _POINTS * (4 * few * many + many)),
        (threads, prod(w)),
    ]


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads) -> int:
    """Elements of `scratch`."""
    return max(elements(_shapes(w, y, _TERMS)), elements(scatter.shapes(x, w, y, stride, padding)))


def forward(y: Array, scratch: Array, x: Array, w: Array, stride: Pair, padding: Pads, after: After) -> None:
    """x (N, H, W, I), w (4, 4, I, O) -> y (N, OH, OW, O)."""
    n, oh, ow, o = y.shape
    few = w.shape[2]
    vectors, width = _block(w.dtype)
    padded, v, m, us, biases = arrays(scratch, _shapes(w.shape, y.shape, _TOGETHER))
    u, point = us.reshape(-1), 4 * few * width
    over_samples(
        of_weight(_SCHEME),
        few,
        w.size * 2,
        u,
        w.reshape(-1, few, o),
        point,
        tap_offsets(_SCHEME, 4, few * o, False),
        width,
        few * width,
        _POINTS * point,
    )
    bias, slope, moments = prepare(after, y)
    over_shares(
        _gather(few, vectors, width, int(slope != 1)),
        n,
        y.size,
        y.reshape(n, -1, o),
        padded,
        v,
        m,
        biases,
        x.reshape(n, x.shape[1], -1),
        u,
        bias,
        slope,
        moments,
        (2 * oh + 2, 2 * ow + 2),
        padding[0][0],
        padding[1][0],
        ow // _TILE,
    )


def backward_input(dx: Array, scratch: Array, dy: Array, w: Array, stride: Pair, padding: Pads, after: After) -> None:
    """dy (N, OH, OW, O), w (4, 4, I, O) -> dx (N, H, W, I)."""
    scatter.scatter(dx, scratch, dy, w, stride, padding, after)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (4, 4, I, O), written or added to."""
    n, oh, ow, o = dy.shape
    few = dw.shape[2]
    vectors, width = _block(dw.dtype)
    padded, v, m, dus, dws = arrays(scratch, _shapes(dw.shape, dy.shape, _TERMS))
    count = over_shares(
        _correlate(few, vectors, width),
        n,
        dy.size,
        dws.reshape(len(dws), -1),
        dus,
        padded,
        v,
        m,
        x.reshape(n, x.shape[1], -1),
        dy.reshape(n, -1, o),
        (2 * oh + 2, 2 * ow + 2),
        padding[0][0],
        padding[1][0],
        ow // _TILE,
        steps(_POINTS, 4 * few * width + 16),
        tap_offsets(_SCHEME, 4, few * o, False),
        o // width,
    )
    over_samples(add_shares, dw.size, dw.size, dw.reshape(-1), dws[:count], accumulate)

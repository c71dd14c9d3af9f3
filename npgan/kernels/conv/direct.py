"""Convolution between an image of few channels and features of many, by the definition, sums kept in registers.

With few channels, columns have short rows and transforming costs more than it saves. The image (N, H, W, I) is padded,
and what a window sees is read where it lies (see `outer`):

    features[p] = Σₖ image[s p + k] w[k],            k over taps and channels, vectors along the features

At stride s the data gradient has s² phases; pixel s i + p collects from r = ⌈K / s⌉ features along each axis,

    image[s i + p] = Σ_a Σ_o features[i - a, o] w[s a + p, o]

with vectors along the values of a cell of s m × s m pixels, which fill one, and m + r - 1 features along each axis are
seen by some pixel of it (where one is not, a 0 stands in the place of the weight).

and the weight gradient is a sum over pixels, dw[k] = Σ_p image[s p + k] features[p].

Where it is the output that has few channels, a convolution of stride 1 is the data gradient of one with the taps in
opposite order, w'[i, j] = w[K - 1 - i, K - 1 - j]ᵀ and padding K - 1 - p, so the same three products serve.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from math import isqrt, prod
from typing import Any, NamedTuple

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.conv.finish import finish
from npgan.kernels.conv.outer import BLOCKS, MORE, outer, vectors_of
from npgan.kernels.conv.scratch import arrays, elements
from npgan.kernels.conv.vectors import lanes
from npgan.kernels.conv.windows import Pads, Pair

_PIXELS = 128  # of features in a part of a sum: few enough to stay in the nearest cache while the taps take turns
_FEW, _TAPS = 4, 128  # channels, and taps times channels, at the most
_TERMS = 64  # in a part of a sum, for the sake of its rounding
_CELL = 16  # values of a cell are filled up to whole vectors of any dtype


@kernel
def _pad(padded, height, width, image, top, left):
    # image (H, W C) -> padded (height, width, C), zeros around it; what is beyond is cut off
    lines, line = image.shape
    channels = padded.size // (height * width)
    before = max(0, left) * channels
    skip = max(0, -left) * channels
    there = max(0, min(line - skip, width * channels - before))
    for h in range(height):
        into = padded[h * width * channels : (h + 1) * width * channels]
        source = h - top
        if source < 0 or source >= lines:
            into[:] = 0
            continue
        into[:before] = 0
        into[before + there :] = 0
        part, row = into[before : before + there], image[source, skip : skip + there]
        for i in range(part.size):
            part[i] = row[i]


@kernel
def _by_cell(cells, w, m, stride, across):
    # w (KH, KW, I, O) -> cells (features seen, values of a cell), which are 0
    kh, kw, few, many = w.shape
    sh, sw = stride
    for y in range(kh):
        for x in range(kw):
            for i in range(m):
                for j in range(m):
                    # pixel s i + p sees feature i - a by tap s a + p; they are counted backwards from the last one
                    seen = (m - 1 - i + y // sh) * across + m - 1 - j + x // sw
                    pixel = (i * sh + y % sh) * sw * m + j * sw + x % sw
                    for c in range(few):
                        for o in range(many):
                            cells[seen * many + o, pixel * few + c] = w[y, x, c, o]


@lru_cache(maxsize=8)
def _kernels(vectors: int) -> Any:
    """Compile the products for blocks of so many vectors."""
    rows = BLOCKS[vectors]

    @kernel
    def gather(
        start, stop, share, features, padded, image, w, bias, slope, pixels, terms, size, top, left, step, count
    ):
        # features (N, pixels, O), image (N, H, W I), w (terms, O); a block of pixels at a time, the last one anew
        o, p = w.shape[1], padded[share]
        for n in range(start, stop):
            _pad(p, size[0], size[1], image[n], top, left)
            for first in range(0, features.shape[1] // o, rows):
                at = min(first, features.shape[1] // o - rows)
                for c in range(0, o, step):
                    outer(
                        rows,
                        vectors,
                        features[n],
                        at * o + c,
                        o,
                        p,
                        0,
                        pixels,
                        at,
                        terms,
                        0,
                        count,
                        w,
                        c,
                        o,
                        0,
                        None,
                        0,
                        None,
                    )
            finish(features[n].reshape((-1, o)), bias, slope)

    @kernel
    def scatter(
        start, stop, share, image, padded, cells, features, w, few, bias, slope, pixels, terms, size, top, left, step,
        places,
    ):  # fmt: skip
        # image (N, H W I), features (N, OH, OW O), w (terms, lanes); pixels are the cells', places where a value is
        o, p, found = w.shape[1], padded[share], cells[share]
        for n in range(start, stop):
            _pad(p, size[0], size[1], features[n], top, left)
            found[:] = 0
            for first in range(0, pixels.size - rows + 1, rows):
                for term in range(0, w.shape[0], _TERMS):
                    count = min(_TERMS, w.shape[0] - term)
                    for c in range(0, o, step):
                        outer(
                            rows, vectors, found, first * o + c, o, p, 0, pixels, first, terms, term, count, w,
                            term * o + c, o, 1, None, 0, None,
                        )  # fmt: skip
            into = image[n]
            for i in range(into.size):
                into[i] = found[places[i]]
            finish(into.reshape((-1, few)), bias, slope)

    @kernel
    def correlate(start, stop, share, dws, padded, image, features, pixels, terms, size, top, left, step, taps):
        # dws (shares, taps and more, O), image (N, H, W I), features (N, pixels, O)
        o, p, dw = dws.shape[2], padded[share], dws[share]
        dw[:] = 0
        for n in range(start, stop):
            _pad(p, size[0], size[1], image[n], top, left)
            for first in range(0, features.shape[1] // o, _PIXELS):
                count = min(_PIXELS, features.shape[1] // o - first)
                for k in range(0, taps, rows):
                    for c in range(0, o, step):
                        outer(
                            rows, vectors, dw, k * o + c, o, p, 0, terms, k, pixels, first, count, features[n],
                            first * o + c, o, 1, None, 0, None,
                        )  # fmt: skip

    return gather, scatter, correlate


@kernel
def _add_shares(start, stop, dw, dws, accumulate):
    out = dw[start:stop]
    for t in range(dws.shape[0]):
        part = dws[t, start:stop]
        if t or accumulate:
            for i in range(out.size):
                out[i] += part[i]
        else:
            out[:] = part


class _Plan(NamedTuple):
    """Where the windows of a padded array and their terms are, its size, and what is before the array in it."""

    pixels: Array
    terms: Array
    size: Pair
    before: Pair


def _windows(counts: Pair, stride: Pair, size: Pair, taps: Pair, channels: int, reverse: bool) -> Any:
    """Return the offsets of windows, and of what they see (and `MORE`), in an array (*size, channels)."""
    p, q = np.ogrid[: counts[0], : counts[1]]
    i, j, c = np.ogrid[: taps[0], : taps[1], :channels]
    if reverse:
        i, j = taps[0] - 1 - i, taps[1] - 1 - j
    pixels = (p * stride[0] * size[1] + q * stride[1]) * channels
    terms = (i * size[1] + j) * channels + c
    return tuple(np.append(each.ravel(), np.zeros(MORE)).astype(np.int64) for each in (pixels, terms))


@lru_cache(maxsize=64)
def _gathering(features: Shape, w: Shape, stride: Pair, padding: Pads) -> _Plan:
    """Return the plan of windows on the image; `features` is (OH, OW)."""
    (oh, ow), (kh, kw) = features, w[:2]
    size = (oh - 1) * stride[0] + kh, (ow - 1) * stride[1] + kw
    pixels, terms = _windows((oh, ow), stride, size, (kh, kw), w[2], reverse=False)
    return _Plan(pixels, terms, size, (padding[0][0], padding[1][0]))


@lru_cache(maxsize=64)
def _scattering(image: Shape, w: Shape, stride: Pair, padding: Pads) -> tuple[_Plan, Array]:
    """Return the plan of windows on the features, one a cell, and where in the cells each value of the image is."""
    (m, side, taps), cell = _cell(w, stride), _values(w, stride)
    first = [low // s for (low, _), s in zip(padding, side, strict=True)]
    last = [(low + size - 1) // s for size, (low, _), s in zip(image, padding, side, strict=True)]
    counts = last[0] - first[0] + 1, last[1] - first[1] + 1
    size = (counts[0] - 1) * m + taps[0], (counts[1] - 1) * m + taps[1]
    pixels, terms = _windows(counts, (m, m), size, taps, w[3], reverse=True)
    h, v, c = np.ogrid[: image[0], : image[1], : w[2]]
    (i, p), (j, q) = np.divmod(h + padding[0][0], side[0]), np.divmod(v + padding[1][0], side[1])
    places = ((i - first[0]) * counts[1] + j - first[1]) * cell + (p * side[1] + q) * w[2] + c
    before = taps[0] - m - first[0] * m, taps[1] - m - first[1] * m
    return _Plan(pixels, terms, size, before), places.ravel().astype(np.int64)


def _cell(w: Shape, stride: Pair) -> tuple[int, Pair, Pair]:
    """Return m of a cell, its sides in pixels, and the features that it sees along each axis."""
    m = max(1, isqrt(_CELL // (prod(stride) * w[2])))
    (sh, sw), (kh, kw) = stride, w[:2]
    return m, (sh * m, sw * m), (m - 1 - (-kh // sh), m - 1 - (-kw // sw))


def _values(w: Shape, stride: Pair) -> int:
    """Return the values of a cell, filled up to whole vectors."""
    return -(-prod(_cell(w, stride)[1]) * w[2] // _CELL) * _CELL


def suits(x: Shape, w: Shape, y: Shape, stride: Pair, dilation: Pair) -> bool:
    """Return whether this is the algorithm for it."""
    few, many = sorted(w[2:])
    turned = _is_turned(w)
    features = x if turned else y
    return (
        few <= _FEW
        and many % _CELL == 0
        and dilation == (1, 1)
        and (stride == (1, 1) or not turned)
        and features[1] * features[2] >= MORE
        and prod(w[:2]) * few <= _TAPS
    )


def _is_turned(w: Shape) -> bool:
    """Return whether it is the output that has few channels."""
    return w[3] < w[2]


def _turned_padding(w: Shape, padding: Pads) -> Pads:
    (top, bottom), (left, right) = padding
    return (w[0] - 1 - top, w[0] - 1 - bottom), (w[1] - 1 - left, w[1] - 1 - right)


def _shapes(image: Shape, w: Shape, features: Shape, stride: Pair, padding: Pads) -> list[Shape]:
    """Return the shapes of the padded image, the padded features, cells, their weight, dw's parts, and a turned w."""
    threads = thread_count()
    gathering = _gathering(features[1:3], w, stride, padding)
    scattering, _ = _scattering(image[1:3], w, stride, padding)
    cell = _values(w, stride)
    return [
        (threads, prod(gathering.size) * w[2]),
        (threads, prod(scattering.size) * w[3]),
        (threads, scattering.pixels.size * cell),
        (prod(_cell(w, stride)[2]) * w[3], cell),
        (threads, prod(w[:3]) + MORE, w[3]),
        w,
    ]


def workspace(x: Shape, w: Shape, y: Shape, stride: Pair, padding: Pads) -> int:
    """Elements of `scratch`."""
    if _is_turned(w):
        return elements(_shapes(y, (*w[:2], w[3], w[2]), x, stride, _turned_padding(w, padding)))
    return elements(_shapes(x, w, y, stride, padding))


def forward(
    y: Array, scratch: Array, x: Array, w: Array, stride: Pair, padding: Pads, bias: Array | None, slope: float | None
) -> None:
    """x (N, H, W, I), w (KH, KW, I, O) -> y (N, OH, OW, O)."""
    if _is_turned(w.shape):
        _scatter(y, scratch, x, _turn(w), stride, _turned_padding(w.shape, padding), bias, slope)
    else:
        _gather(y, scratch, x, w, stride, padding, bias, slope)


def backward_input(
    dx: Array, scratch: Array, dy: Array, w: Array, stride: Pair, padding: Pads, bias: Array | None, slope: float | None
) -> None:
    """dy (N, OH, OW, O), w (KH, KW, I, O) -> dx (N, H, W, I)."""
    if _is_turned(w.shape):
        _gather(dx, scratch, dy, _turn(w), stride, _turned_padding(w.shape, padding), bias, slope)
    else:
        _scatter(dx, scratch, dy, w, stride, padding, bias, slope)


def backward_weight(
    dw: Array, scratch: Array, dy: Array, x: Array, stride: Pair, padding: Pads, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    if _is_turned(dw.shape):
        _correlate(_turn(dw), scratch, x, dy, stride, _turned_padding(dw.shape, padding), accumulate)
    else:
        _correlate(dw, scratch, dy, x, stride, padding, accumulate)


def _turn(w: Array) -> Array:
    return w[::-1, ::-1].swapaxes(2, 3)


def _gather(
    features: Array,
    scratch: Array,
    image: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    bias: Array | None,
    slope: float | None,
) -> None:
    n, many = len(image), w.shape[3]
    plan = _gathering(features.shape[1:3], w.shape, stride, padding)
    padded, _, _, _, _, straight = arrays(scratch, _shapes(image.shape, w.shape, features.shape, stride, padding))
    if not w.flags.c_contiguous:
        straight[...] = w
        w = straight
    vectors, taps = vectors_of(many, w.dtype), prod(w.shape[:3])
    gather, _, _ = _kernels(vectors)
    over_shares(
        gather,
        n,
        features.size * taps // 32,
        features.reshape(n, -1),
        padded,
        image.reshape(n, image.shape[1], -1),
        w.reshape(-1, many),
        bias,
        slope,
        plan.pixels,
        plan.terms,
        plan.size,
        *plan.before,
        vectors * lanes(w.dtype),
        taps,
    )


def _scatter(
    image: Array,
    scratch: Array,
    features: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    bias: Array | None,
    slope: float | None,
) -> None:
    n = len(image)
    plan, places = _scattering(image.shape[1:3], w.shape, stride, padding)
    _, padded, cells, phases, _, _ = arrays(scratch, _shapes(image.shape, w.shape, features.shape, stride, padding))
    m, _, taps = _cell(w.shape, stride)
    phases[...] = 0
    _by_cell(phases, w, m, stride, taps[1])
    vectors = vectors_of(phases.shape[1], w.dtype)
    _, scatter, _ = _kernels(vectors)
    over_shares(
        scatter,
        n,
        features.size * prod(w.shape[:3]) // 32,
        image.reshape(n, -1),
        padded,
        cells,
        features.reshape(n, features.shape[1], -1),
        phases,
        w.shape[2],
        bias,
        slope,
        plan.pixels,
        plan.terms,
        plan.size,
        *plan.before,
        vectors * lanes(w.dtype),
        places,
    )


def _correlate(
    dw: Array, scratch: Array, features: Array, image: Array, stride: Pair, padding: Pads, accumulate: bool
) -> None:
    n, many = len(image), dw.shape[3]
    plan = _gathering(features.shape[1:3], dw.shape, stride, padding)
    padded, _, _, _, sums, straight = arrays(scratch, _shapes(image.shape, dw.shape, features.shape, stride, padding))
    vectors, taps = vectors_of(many, dw.dtype), prod(dw.shape[:3])
    _, _, correlate = _kernels(vectors)
    count = over_shares(
        correlate,
        n,
        features.size * taps // 32,
        sums,
        padded,
        image.reshape(n, image.shape[1], -1),
        features.reshape(n, -1),
        plan.pixels,
        plan.terms,
        plan.size,
        *plan.before,
        vectors * lanes(dw.dtype),
        taps,
    )
    out = dw if dw.flags.c_contiguous else straight
    flat = sums[:count].reshape(count, -1)
    over_samples(_add_shares, dw.size, dw.size, out.reshape(-1), flat, accumulate and out is dw)
    if out is not dw:
        np.add(dw, out, out=dw) if accumulate else np.copyto(dw, out)

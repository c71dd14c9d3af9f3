"""The weight gradient where the image has few channels: dw[k] = Σ_p image[s p + k] features[p]."""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from math import prod
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.arrays.cpu import add, copy
from npgan.kernels.conv.outer import BLOCKS, MORE, outer, vectors_of
from npgan.kernels.conv.padded import elements, pad, windows
from npgan.kernels.conv.scratch import arrays
from npgan.kernels.conv.shares import add_shares
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.vectors import lanes

_PIXELS = 128  # of features in a part of a sum: few enough to stay in the nearest cache while the taps take turns


@lru_cache(maxsize=16)
def _kernel(vectors: int, rows: int) -> Any:
    """Compile it for blocks of so many vectors and rows."""

    @kernel
    def correlate(start, stop, share, dws, padded, image, features, pixels, terms, size, top, left, step, taps):
        # dws (shares, taps and more, O), image (N, H, W I), features (N, pixels, O)
        o, p, dw = dws.shape[2], padded[share], dws[share]
        dw[:] = 0
        for n in range(start, stop):
            pad(p, size[0], size[1], image[n], top, left)
            for first in range(0, features.shape[1] // o, _PIXELS):
                count = min(_PIXELS, features.shape[1] // o - first)
                for k in range(0, taps, rows):
                    for c in range(0, o, step):
                        outer(
                            rows, vectors, dw, k * o + c, o, p, 0, terms, k, pixels, first, count, features[n],
                            first * o + c, o, 1, None, 0, None,
                        )  # fmt: skip

    return correlate


def _rows(vectors: int, taps: int) -> int:
    """Return the rows of blocks that have the fewest beyond the last tap, and are not small."""
    most = BLOCKS[vectors]
    return min(range(most, most // 2, -1), key=lambda rows: -(-taps // rows) * rows)


def shapes(w: Shape, features: Shape, stride: Pair, padding: Pads) -> list[Shape]:
    """Return the shapes of the padded images, of each thread's part of dw, and of a dw in order."""
    threads = thread_count()
    return [(threads, elements(features[1:3], w, stride, padding)), (threads, prod(w[:3]) + MORE, w[3]), w]


def correlate(
    dw: Array, scratch: Array, features: Array, image: Array, stride: Pair, padding: Pads, accumulate: bool
) -> None:
    """Features (N, OH, OW, O), image (N, H, W, I) -> dw (KH, KW, I, O), written or added to."""
    n, many = len(image), dw.shape[3]
    plan = windows(features.shape[1:3], dw.shape, stride, padding)
    padded, sums, straight = arrays(scratch, shapes(dw.shape, features.shape, stride, padding))
    vectors, taps = vectors_of(many, dw.dtype), prod(dw.shape[:3])
    count = over_shares(
        _kernel(vectors, _rows(vectors, taps)),
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
    over_samples(add_shares, dw.size, dw.size, out.reshape(-1), flat, accumulate and out is dw)
    if out is not dw:
        add(dw, dw, out) if accumulate else copy(dw, out)

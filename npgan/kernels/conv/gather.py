"""Features from an image of few channels: features[p] = Σₖ image[s p + k] w[k], vectors along the features."""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from math import prod
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_shares, thread_count
from npgan.kernels.after import After
from npgan.kernels.arrays.cpu import copy
from npgan.kernels.conv.finish import finish, prepare
from npgan.kernels.conv.outer import BLOCKS, outer, vectors_of
from npgan.kernels.conv.padded import elements, pad, windows
from npgan.kernels.conv.scratch import arrays
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.vectors import lanes


@lru_cache(maxsize=8)
def _kernel(vectors: int) -> Any:
    """Compile it for blocks of so many vectors."""
    rows = BLOCKS[vectors]

    @kernel
    def gather(
        start, stop, share, features, padded, image, w, after, pixels, terms, size, top, left, step,
        count,
    ):  # fmt: skip
        # features (N, pixels, O), image (N, H, W I), w (terms, O); a block of pixels at a time, the last one anew
        o, p = w.shape[1], padded[share]
        for n in range(start, stop):
            pad(p, size[0], size[1], image[n], top, left)
            for first in range(0, features.shape[1] // o, rows):
                at = min(first, features.shape[1] // o - rows)
                for c in range(0, o, step):
                    outer(
                        rows, vectors, features[n], at * o + c, o, p, 0, pixels, at, terms, 0, count, w, c, o, 0, None,
                        0, None,
                    )  # fmt: skip
            finish(features[n].reshape((-1, o)), after, n)

    return gather


def shapes(w: Shape, features: Shape, stride: Pair, padding: Pads) -> list[Shape]:
    """Return the shapes of the padded images, and of a w in order."""
    return [(thread_count(), elements(features[1:3], w, stride, padding)), w]


def gather(
    features: Array,
    scratch: Array,
    image: Array,
    w: Array,
    stride: Pair,
    padding: Pads,
    after: After,
) -> None:
    """Image (N, H, W, I), w (KH, KW, I, O) -> features (N, OH, OW, O)."""
    n, many = len(image), w.shape[3]
    plan = windows(features.shape[1:3], w.shape, stride, padding)
    padded, straight = arrays(scratch, shapes(w.shape, features.shape, stride, padding))
    if not w.flags.c_contiguous:
        copy(straight, w)
        w = straight
    vectors, taps = vectors_of(many, w.dtype), prod(w.shape[:3])
    over_shares(
        _kernel(vectors),
        n,
        features.size * taps // 32,
        features.reshape(n, -1),
        padded,
        image.reshape(n, image.shape[1], -1),
        w.reshape(-1, many),
        prepare(after, features),
        plan.pixels,
        plan.terms,
        plan.size,
        *plan.before,
        vectors * lanes(w.dtype),
        taps,
    )

"""The image that windows of few channels are read from where they lie: padded, one sample a thread at a time."""

# mypy: disable-error-code="no-untyped-def"

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.kernels.conv.outer import MORE
from npgan.kernels.conv.windows import Pads, Pair


class Windows(NamedTuple):
    """Where the windows of a padded image are, and what they see.

    Attributes
    ----------
    pixels, terms : (windows and `MORE`,), (taps times channels and `MORE`,)
        Offsets of each window, and in it of each element.
    size, before : (int, int)
        Of the padded image, and what is before the image in it.
    """

    pixels: Array
    terms: Array
    size: Pair
    before: Pair


@lru_cache(maxsize=64)
def windows(features: Shape, w: Shape, stride: Pair, padding: Pads) -> Windows:
    """Return those of w (KH, KW, I, O) on the image, one for each of the `features` (OH, OW)."""
    (oh, ow), (kh, kw, few) = features, w[:3]
    size = (oh - 1) * stride[0] + kh, (ow - 1) * stride[1] + kw
    p, q = np.ogrid[:oh, :ow]
    i, j, c = np.ogrid[:kh, :kw, :few]
    offsets = (p * stride[0] * size[1] + q * stride[1]) * few, (i * size[1] + j) * few + c
    pixels, terms = (np.append(each.ravel(), np.zeros(MORE)).astype(np.int64) for each in offsets)
    return Windows(pixels, terms, size, (padding[0][0], padding[1][0]))


def elements(features: Shape, w: Shape, stride: Pair, padding: Pads) -> int:
    """Return how many elements the padded image has."""
    return prod(windows(features, w, stride, padding).size) * w[2]


@kernel
def pad(padded, height, width, image, top, left):
    """Image (H, W C) -> padded (height, width, C), zeros around it; what is beyond is cut off."""
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

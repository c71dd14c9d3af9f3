"""Winograd's convolution by blocks that stay in the nearest caches. The mathematics is in `winograd`.

From images through tiles' points to images: a thread transforms a few tiles, a part of the channels at a time (A),
multiplies them by that part of the weight (U), adds this to a block of the result's channels (C), and transforms that
back once all parts have been there. So the points, which take twice the images' memory, never leave the cache;
transforming them anew for the next block costs less than fetching them would. U is made beforehand, and streams by.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from functools import lru_cache
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.after import After
from npgan.kernels.conv.finish import finish, prepare
from npgan.kernels.conv.outer import BLOCKS, MORE, outer, vectors_of
from npgan.kernels.conv.scratch import arrays
from npgan.kernels.conv.separable import tile
from npgan.kernels.conv.tiles import Scheme, spread, steps, tables, tap_offsets, turned_shape, whole
from npgan.kernels.conv.transforms import names_of, of_weight, turn
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.vectors import lanes

_LARGEST = 1 << 20  # elements of U, of which all threads read all, for some tiles each: it should stay in their cache
_POINTS = 600  # of the tiles of a chunk together
_BLOCK = 128  # channels of A and of C


@lru_cache(maxsize=32)
def _kernel(scheme: Scheme, rest: Pair, gradient: bool, vectors: int) -> Any:
    """Compile the convolution, or the data gradient."""
    height = BLOCKS[vectors]
    full, low, right = names_of("A" if gradient else "B", scheme, rest, back=False)
    full_t, low_t, right_t = names_of("B" if gradient else "A", scheme, rest, back=True)
    adds = int(gradient)

    @kernel
    def convolve(
        start, stop, share, out, a_s, c_s, source, u, after, reads, writes, seen, kinds, spans, sizes, strides, a_rows,
        terms, lines, clear,
    ):  # fmt: skip
        # out (N, H W O), source (N, H W I), u (points, panels, rows of all phases, width), the samples [start, stop)
        part, together, block, samples, at_once, few, many, filled, width = sizes
        a_row, a_point, c_row, c_point, plane = strides
        a, c = a_s[share], c_s[share]
        tiles, phases, into = reads.shape[0], reads.shape[1], writes.shape[1]
        for first in range(start, stop, samples):
            count = min(samples, stop - first)
            if clear:
                out[first : first + count] = 0
            for corner in range(0, tiles, at_once):
                here = min(at_once, tiles - corner)
                fresh = True
                for block_of_all in range(into * ((many + block - 1) // block)):
                    phase_out, o = block_of_all % into, block_of_all // into * block
                    columns = min(block, filled - o)
                    for phase in range(0, phases, together):
                        for i in range(0, few, part):
                            size, k = min(part, few - i), phase * few + i
                            more = min(together, phases - phase)
                            if fresh or size * more < phases * few:
                                for row in range(here * count):
                                    t, n = corner + row // count, first + row % count
                                    for p in range(more):
                                        at, offsets = row * a_row + p * few, reads[t, phase + p]
                                        tile(
                                            full, low, right, 0, kinds[t], size, a, at, a_point, offsets, source[n],
                                            i, offsets,
                                        )  # fmt: skip
                            fresh = False
                            for point in range(spans.shape[0]):
                                begin = max(spans[point, 0] - corner, 0) * count
                                end = min(spans[point, 1] - corner, here) * count
                                for column in range(0, columns, width):
                                    panel = (phase_out * filled + o + column) // width
                                    at = point * plane + (panel * phases * few + k) * width
                                    # U's next panel here, or that of the next point
                                    soon = at + phases * few * width
                                    if column + width >= columns:
                                        soon = at + plane - (columns - width) * phases * few
                                    for row in range(begin, end, height):
                                        outer(
                                            height, vectors, c, row * c_row + point * c_point + column, c_row, a,
                                            point * a_point, a_rows, row, terms, 0, size * more, u, at, width, k, u,
                                            soon + min((row - begin) // height, 3) * size * more * 16, lines,
                                        )  # fmt: skip
                    for row in range(here * count):
                        t, n, filled_of = corner + row // count, first + row % count, min(block, many - o)
                        tile(
                            full_t, low_t, right_t, adds, kinds[t], filled_of, out[n], o, writes[t, phase_out],
                            seen[t, phase_out], c, row * c_row, c_point,
                        )  # fmt: skip
            for n in range(first, first + count):
                finish(out[n], after, n)

    return convolve


def suits(scheme: Scheme, w: Shape) -> bool:
    """Return whether U is small enough."""
    return _of_u(scheme, w, scheme.stride**2) <= _LARGEST


def _of_u(scheme: Scheme, w: Shape, phases: int) -> int:
    return scheme.n**2 * (phases * max(w[2] * whole(w[3]), w[3] * whole(w[2])) + 16)


def _part(scheme: Scheme, channels: int, phases: int) -> Pair:
    """Return the channels, and the phases, of a part of the sum."""
    most = _BLOCK if scheme.n < 6 else _BLOCK // 2
    return (most, 1) if channels > most else (channels, min(phases, most // channels))


@lru_cache(maxsize=64)
def _chunk(scheme: Scheme, tiles: int, n: int) -> Pair:
    """Return of how many samples, and how many tiles of each, a chunk is made: the products of few rows are the worst.

    Rows are multiplied in blocks, and reading U costs as much as two more rows.
    """
    height = max(BLOCKS.values())
    most = max(height, _POINTS // scheme.n**2)

    def cost(samples: int) -> float:
        at_once = min(tiles, most // samples)
        sizes = [at_once] * (tiles // at_once) + [tiles % at_once] * (tiles % at_once > 0)
        return sum(-(-samples * each // 6) * 6 + 2 for each in sizes) / samples

    found = min(range(1, min(n, most) + 1), key=cost)
    return found, min(tiles, most // found)


def shapes(scheme: Scheme, n: int, w: Shape, y: Shape) -> list[Shape]:
    """Return the shapes of each thread's a and c, of u, and of a turned w; of the convolution and its data gradient."""
    (th, tw), threads, points = scheme.tiles(y), thread_count(), scheme.n**2
    samples, at_once = _chunk(scheme, th * tw, -(-n // threads))
    rows = samples * at_once + MORE

    def row(channels: int) -> int:
        return spread(points * spread(channels))

    size = rows * row(_BLOCK)
    return [(threads, size), (threads, size), (_of_u(scheme, w, scheme.stride**2),), w]


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
    n, like = len(out), turned_shape(w.shape) if turned else w.shape
    x, y = (out, source) if gradient else (source, out)
    a, c, u, other = arrays(scratch, shapes(scheme, n, like, y.shape))
    at = tables(scheme, x.shape[1:], like, y.shape[1:], padding)
    kernel_size, s2 = w.shape[0], scheme.stride**2
    matrix = w.reshape(-1, *w.shape[2:])
    if turned or gradient:
        exchanged = other.reshape(-1, w.shape[3], w.shape[2])
        over_samples(turn, len(matrix), w.size, exchanged, matrix, elements=True)
        matrix = exchanged
    few, many = matrix.shape[1:]
    phases, into = (1, s2) if gradient else (s2, 1)
    filled, vectors = whole(many), vectors_of(whole(many), w.dtype)
    width, plane = vectors * lanes(w.dtype), phases * into * few * filled + 16
    over_samples(
        of_weight(scheme),
        few,
        w.size * 2,
        u,
        matrix,
        plane,
        tap_offsets(scheme, kernel_size, few * many, turned),
        width,
        few * (filled if gradient else width),
        phases * few * width,
    )
    part, together = _part(scheme, few, phases)
    block = min(_BLOCK, filled)
    (samples, at_once), points = _chunk(scheme, len(at.x), -(-n // thread_count())), scheme.n**2
    a_point, c_point = spread(part * together), spread(block)
    a_row, c_row = spread(points * a_point), spread(points * c_point)
    reads, writes = (at.y, at.x) if gradient else (at.x, at.y)
    over_shares(
        _kernel(scheme, scheme.rest(y.shape), gradient, vectors),
        n,
        y.size * 16,
        out.reshape(n, -1, many),
        a,
        c,
        source.reshape(n, -1, few),
        u,
        prepare(after, out),
        reads,
        writes,
        at.seen,
        at.kinds,
        at.spans,
        (part, together, block, samples, at_once, few, many, filled, width),
        (a_row, a_point, c_row, c_point, plane),
        steps(samples * at_once + MORE, a_row),
        steps(_BLOCK, 1),
        steps(_BLOCK, 16),
        gradient and not at.covered,
    )

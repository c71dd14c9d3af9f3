"""The matrices of tiles' transforms, and the transform of the weight."""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

from functools import lru_cache
from typing import Any

from npgan.backend.compile import kernel
from npgan.kernels.conv.separable import separable
from npgan.kernels.conv.tiles import Scheme
from npgan.kernels.conv.windows import Pair
from npgan.kernels.transpose import transpose


def names_of(letter: str, scheme: Scheme, rest: Pair, back: bool) -> tuple[str, str, str]:
    """Return the names of the matrices of all tiles, those at the bottom, and those at the right.

    Parameters
    ----------
    letter : {"A", "B"}
        Of y's pixels, or x's.
    rest : (int, int)
        The outputs along both axes that are left over for smaller tiles.
    back : bool
        From points to pixels, by the transposed matrices.
    """
    full, end = f"{letter}{scheme.name}", "t" if back else ""
    low, right = (f"{full}/{outputs}{end}" if outputs else full + end for outputs in rest)
    return full + end, low, right


@lru_cache(maxsize=16)
def of_weight(scheme: Scheme) -> Any:
    """Compile the transform of w to the panels of U, of some of its channels that are multiplied.

    A panel is some columns of U, one row after the other, as `outer` reads them.
    """
    G = f"G{scheme.name}"

    @kernel
    def transform(start, stop, u, w, point_step, taps, width, phase_step, panel_step):
        # w (taps, I, O) -> u (points, panels, rows, width), the channels [start, stop) of I
        o = w.shape[2]
        for phase in range(taps.shape[0]):
            for c in range(start, stop):
                for first in range(0, o, width):
                    at = phase * phase_step + first // width * panel_step + c * width
                    separable(G, min(width, o - first), u, at, point_step, None, w, c * o + first, taps[phase])

    return transform


@kernel
def turn(start, stop, turned, w):
    """Exchange channels: w (taps, I, O) -> turned (taps, O, I), the taps [start, stop)."""
    into, source = turned.reshape(turned.size), w.reshape(w.size)
    few, many = w.shape[1:]
    for t in range(start, stop):
        transpose(into, t * few * many, few, source, t * few * many, many, few, many)

"""Check the backward map of a layer against numerical derivatives of its forward map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.differences import derivative

if TYPE_CHECKING:
    from npgan.backend.base import Array, Backend, Shape
    from npgan.layers import Layer
    from npgan.network import Pass

_FULL = 40  # arrays of up to so many elements are checked element by element, larger ones along random directions
_DIRECTIONS = 6
_RELATIVE = 1e-9  # of the size of the derivatives: what float64 leaves after a few hundred operations


class GradientError(AssertionError):
    """A derivative is wrong; the message says which, where, and how to see it again."""


@dataclass(frozen=True)
class Row:
    """The worst case of one derivative.

    Attributes
    ----------
    what : str
        ``"dx"`` or ``"d3/weight"``.
    place : str
        The element or the direction.
    found, expected : float
        What backward says and what differences say.
    tolerance : float
        From the estimated error of the differences and the size of the derivative.
    """

    what: str
    place: str
    found: float
    expected: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the two agree; NaN does not."""
        return abs(self.found - self.expected) <= self.tolerance


@dataclass(frozen=True)
class Report:
    """What was checked: one row a derivative."""

    subject: str
    rows: list[Row]

    @property
    def ok(self) -> bool:
        """Whether everything agreed."""
        return all(row.ok for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {'ok' if self.ok else 'WRONG'}"]
        lines += [
            f"  {'ok   ' if row.ok else 'WRONG'} {row.what:<16} {row.place:<16} backward {row.found:+.9e}  "
            f"differences {row.expected:+.9e}  off by {abs(row.found - row.expected):.1e}, allowed {row.tolerance:.1e}"
            for row in self.rows
        ]
        return "\n".join(lines)


def check(
    layers: Layer | Sequence[Layer],
    input_shape: Shape,
    *,
    batch: int = 3,
    condition_shape: Shape | None = None,
    labels: int | None = None,
    input_labels: int | None = None,
    train: bool = True,
    backend: str | Backend = "cpu",
    seed: int = 0,
) -> Report:
    """Check a layer's gradients in float64: of its input, its condition and every parameter.

    A random scalar L = <dy, y> is differentiated along single elements, or for larger arrays along random directions,
    by extrapolated central differences, and compared with what `backward` gives. Also checked: that every element is
    written (the Pass's memory is filled with NaN before), that accumulating adds, that a second run gives the same
    bits, and that the maps leave x, y and dy as they are. Where a kink (of ReLU, of max pooling) is so close that
    differences cannot tell, the step shrinks until they can.

    Parameters
    ----------
    layers : Layer or sequence of Layer
    input_shape : tuple of int
        Of one sample.
    batch : int
        Samples.
    condition_shape : tuple of int, optional
        Of one sample's condition, for layers that read one.
    labels, input_labels : int, optional
        The condition, the input, are class labels below this.
    train : bool
        Batch statistics and dropout.
    backend : str or Backend
    seed : int
        Of the weights, the point and the directions.

    Returns
    -------
    Report
        With the worst case of each derivative.

    Raises
    ------
    GradientError
        Something is wrong.
    """
    from npgan.network import Network

    network = Network(
        layers,
        input_shape,
        condition_shape=condition_shape if labels is None else (),
        input_dtype="float" if input_labels is None else "int64",
        backend=backend,
        dtype="float64",
        seed=seed,
        name="check",
    )
    draw = np.random.default_rng(seed)
    as_array = network.backend.asarray

    def point(shape: Shape, below: int | None) -> Array:
        return as_array(
            draw.normal(size=(batch, *shape)) if below is None else draw.integers(0, below, (batch, *shape))
        )

    with network.write() as theta:  # zero biases and unit gains would hide much
        theta += as_array(0.3 * draw.normal(size=network.size))
    x = point(network.input_shape, input_labels)
    condition = None if network.condition_shape is None else point(network.condition_shape, labels)
    p = network.new_pass(batch, train=train, keep="all")
    dy = as_array(draw.normal(size=(batch, *network.output_shape)))
    subject = f"{', '.join(map(repr, layers)) if isinstance(layers, Sequence) else repr(layers)} on {input_shape}"
    # A condition that no layer differentiates through (labels) has no gradient.
    wants = {"dx": input_labels is None, "dcondition": condition is not None and labels is None}

    def loss() -> float:
        return float((dy * p.forward(x, condition, update_stats=False)).sum())

    gradients = _gradients(p, loss, dy, x, condition, wants, subject)
    # A derivative may be 0 whatever the weights, as a bias's before batch norm: the others say what is small.
    least = 1e-3 * _size(np.concatenate([gradient.reshape(-1) for gradient in gradients.values()]))
    rows = []
    if wants["dx"]:
        rows.append(_compare("dx", gradients["dx"], _along(x, loss), least, draw))
    if condition is not None and wants["dcondition"]:
        rows.append(_compare("dcondition", gradients["dcondition"], _along(condition, loss), least, draw))
    for name, (start, stop) in network.layout.ranges().items():

        def along(direction: Array, t: float, part: slice = slice(start, stop)) -> float:
            with network.write() as theta:
                before = theta[part].copy()
                theta[part] += t * direction
            try:
                return loss()
            finally:
                with network.write() as theta:
                    theta[part] = before

        rows.append(_compare(f"d{name}", gradients["dtheta"][start:stop], along, least, draw))
    report = Report(subject, rows)
    if not report.ok:
        raise GradientError(f"{report}\nseed {seed}")
    return report


def _gradients(
    p: Pass,
    loss: Callable[[], float],
    dy: Array,
    x: Array,
    condition: Array | None,
    wants: dict[str, bool],
    subject: str,
) -> dict[str, Array]:
    """Run backward twice, the second time accumulating, and check everything about it but its values."""
    outside = {"x": x, "dy": dy}
    before = {name: array.copy() for name, array in outside.items()}

    def backward(dtheta: Array, accumulate: bool) -> dict[str, Array]:
        dx = p.backward(dy, dtheta=dtheta, accumulate=accumulate, **wants)
        found = {} if dx is None else {"dx": dx.copy()}
        return {**found, "dcondition": p.dcondition.copy()} if wants["dcondition"] else found

    loss()
    p.arena.region[...] = 0xFF  # every float in it is NaN, so that what is not written shows
    inside = _Kept()
    p.watch = inside
    value = loss()
    p.watch = None
    if not np.isfinite(value):
        raise GradientError(f"{subject}: y is not finite; forward left elements of it unwritten, or overflowed")
    dtheta = np.full_like(p.network.theta, np.nan)
    found = {**backward(dtheta, False), "dtheta": dtheta}
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise GradientError(
                f"{subject}: {name} is not finite; backward left elements of it unwritten, or added to it"
            )
    inside.check(p, (x, condition), dy, subject)
    if loss() != value:
        raise GradientError(f"{subject}: a second forward from the same x gave another result")
    total = np.ones_like(dtheta)
    for name, array in backward(total, True).items():
        if not np.array_equal(array, found[name]):
            raise GradientError(f"{subject}: a second backward gave another {name}")
    if not np.allclose(total, 1.0 + dtheta, rtol=1e-12, atol=1e-12 * (1.0 + float(np.abs(dtheta).max(initial=0.0)))):
        raise GradientError(f"{subject}: backward with accumulate=True did not add to dtheta")
    for name, array in outside.items():
        if not np.array_equal(array, before[name]):
            raise GradientError(f"{subject}: {name} was changed")
    return found


class _Kept:
    """A watch that copies what each map was given and made, to see whether a later one writes there.

    A Pass works on copies of what it is given, so that a layer which writes to its own x, or to dy, does no harm that
    the caller could see; but the neighbours of a layer read the same arrays.
    """

    def __init__(self) -> None:
        self._arrays: list[tuple[str, str, Array, Array]] = []  # place, name, array, copy

    def __call__(self, where: str, which: str, arrays: dict[str, Array]) -> None:
        self._arrays += [(where, name, a, a.copy()) for name, a in arrays.items() if name[0] == "x" or name == "y"]

    def check(self, p: Pass, given: tuple[Array | None, ...], dy: Array, subject: str) -> None:
        """Raise GradientError where something is not what it was, after a backward."""
        for where, name, array, copy in self._arrays:
            if not np.array_equal(array, copy):
                raise GradientError(f"{subject}: {name} of {where} was changed")
        if self._arrays:
            where, _, first, _ = self._arrays[0]  # the first operation reads x or the condition
            if not any(a is not None and np.array_equal(first.reshape(-1), a.reshape(-1)) for a in given):
                raise GradientError(f"{subject}: x of {where} was changed")
            last = self._arrays[-1][0]
            if not np.array_equal(p[last.split()[0]].dy.reshape(-1), dy.reshape(-1)):
                raise GradientError(f"{subject}: dy of {last} was changed")


def _along(x: Array, loss: Callable[[], float]) -> Callable[[Array, float], float]:
    """Return L as a function of a distance from x along a direction."""
    x0 = x.copy()

    def at(direction: Array, t: float) -> float:
        x[...] = x0 + t * direction.reshape(x.shape)
        try:
            return loss()
        finally:
            x[...] = x0

    return at


def _compare(
    what: str, gradient: Array, along: Callable[[Array, float], float], least: float, draw: np.random.Generator
) -> Row:
    """Return the worst of the elements or directions."""
    flat = gradient.reshape(-1)
    rows = []
    scale = max(_size(flat), least)
    for place, direction in _directions(gradient.shape, draw):
        found = float(flat @ direction)
        h = 1e-2
        while True:
            estimate = derivative(lambda t, h=h, d=direction: along(d, t), h)  # type: ignore[misc]
            if estimate.error <= 1e-6 * (abs(estimate.value) + scale) or h < 1e-5:
                break
            h /= 8  # a kink may be near: look closer
        tolerance = 4.0 * estimate.error + _RELATIVE * (abs(estimate.value) + scale)
        if estimate.error > 1e-3 * (abs(estimate.value) + scale + 1e-6):
            tolerance = 0.0  # the differences cannot tell, so nothing was shown
        rows.append(Row(what, place, found, estimate.value, tolerance))
    return max(rows, key=lambda row: (not row.ok, abs(row.found - row.expected) / (row.tolerance or 1e-300)))


def _size(gradient: Array) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(gradient**2))) if gradient.size else 0.0


def _directions(shape: Shape, draw: np.random.Generator) -> list[tuple[str, Any]]:
    size = int(np.prod(shape))
    if size <= _FULL:
        unit = np.eye(size)
        return [(str(tuple(int(i) for i in np.unravel_index(j, shape))), unit[j]) for j in range(size)]
    # Signs, so that no component is too small to be seen.
    signs = draw.choice([-1.0, 1.0], size=(_DIRECTIONS, size)) / np.sqrt(size)
    return [(f"direction {j}", signs[j]) for j in range(_DIRECTIONS)]

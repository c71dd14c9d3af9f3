"""The cross-examination: every map of a function against every way of knowing what it should be.

What is known of rounding comes from the function itself: its inputs, and every result on the way, are moved by a
rounding error at random, and what the results do then, divided by that error, is the scale that rounding is relative
to. It is the size of the result, or more where large numbers cancel (the gradient of a bias before batch norm is 0,
made of numbers near 1).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgan.gradcheck.differences import derivatives
from npgan.gradcheck.maps import (
    DERIVATIVE_OF,
    MAPS,
    Arrays,
    At,
    Function,
    Map,
    backward,
    direction,
    forward,
    noise,
    rforward,
)
from npgan.gradcheck.report import Row, compare

FACTOR = 64.0  # how many such rounding errors the arithmetic of all layers may leave
_H = 1e-20
_STEPS = [1e-2 / 8**k for k in range(5)]
_SURE = {"forward": 1e-9, "backward": 1e-8, "gradient": 1e-8}  # relative errors of differences that settle something


class Kinked(Exception):  # noqa: N818 - it is caught, and the point moved
    """Differences could not tell a derivative: there is a kink within every step."""


@dataclass
class Witness:
    """A function at a place, and what is known about it.

    Attributes
    ----------
    f : Function
        Under examination.
    wide : Function or None
        The same in complex128, for the complex step.
    inputs, dy : dict of str to array, array
    seed : int
        Of the directions.
    differences : bool
        Take differences, raising Kinked where they cannot tell.
    full : int
        Arrays of up to so many elements are checked element by element.
    directions : int
        How many, for larger arrays.
    """

    f: Function
    wide: Function | None
    inputs: Arrays
    dy: Any
    seed: int
    differences: bool = True
    full: int = 40
    directions: int = 4
    smallest: float = 1.0  # the smallest step that a difference took
    _scales: dict[Any, dict[str, float]] = field(default_factory=dict)

    @property
    def eps(self) -> float:
        """The rounding error of the function's dtype."""
        return float(np.finfo(self.f.dtype).eps)

    def at(self, along: Arrays, rdy: Any = None, dy: Any = None) -> At:
        """Return the place with a direction."""
        return At(self.inputs, self.dy if dy is None else dy, along, rdy)

    def random(self, names: tuple[str, ...], number: int) -> Arrays:
        """Return a random direction of these inputs."""
        return {name: direction(np.shape(self.inputs[name]), (self.seed, number, i)) for i, name in enumerate(names)}

    def scale(self, name: str, map_: Map, at: At, key: Any = None) -> dict[str, float]:
        """Return the scales of a map's results, measured once for each `key`."""
        key = (name, key)
        if key not in self._scales:
            found = scales(self.f, map_, at, self.eps, self.seed)
            if self.wide is not None and name in DERIVATIVE_OF and not self.f.by_complex_step:
                # The witness rounds too, and other versions of a kernel leave more where numbers cancel.
                first, wide = DERIVATIVE_OF[name], self.wide
                moved = noise(
                    wide,
                    lambda _, place: self.by_complex_step(first, place),
                    at,
                    self.by_complex_step(first, at),
                    np.random.default_rng((self.seed, 8)),
                    self.eps,
                )
                found = {what: max(size, moved[what] / self.eps) for what, size in found.items()}
            self._scales[key] = found
        return self._scales[key]

    def by_complex_step(self, map_: Map, at: At) -> Arrays:
        """Return D[map] along the direction of `at`, to rounding."""
        assert self.wide is not None
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an imaginary part that is thrown away
            found = map_(self.wide, at.moved(1j * _H))
        return {f"r{name}": np.imag(a) / _H for name, a in found.items()}

    def by_differences(self, name: str, map_: Map, at: At, scale: dict[str, float]) -> tuple[Arrays, dict[str, float]]:
        """Return D[map] and its errors, looking closer until they are small; raise Kinked where they never are."""
        names = list(map_(self.f, at))

        def moved(t: float) -> Any:
            found = map_(self.f, at.moved(t))
            return np.concatenate([np.reshape(found[n], -1) for n in names]).astype(np.float64)

        shapes = {n: np.shape(a) for n, a in map_(self.f, at).items()}
        own = self.scale(name, map_, at)
        rounding = np.concatenate([np.full(int(np.prod(shapes[n])), self.eps * own[n]) for n in names])
        limit = _SURE[name] * np.concatenate([np.full(int(np.prod(shapes[n])), scale[f"r{n}"]) for n in names])
        for h in _STEPS:
            value, error = derivatives(moved, h, self.eps, rounding)
            # Where nothing larger is there, rounding is all that can be seen.
            if (error <= np.maximum(limit, 16.0 * rounding / h)).all():
                break
        else:
            raise Kinked
        self.smallest = min(self.smallest, h)
        values: Arrays = {}
        errors: dict[str, float] = {}
        start = 0
        for n in names:
            stop = start + int(np.prod(shapes[n]))
            values[f"r{n}"] = value[start:stop].reshape(shapes[n])
            # An estimate among many may be small by chance: all elements have that of the worst.
            errors[f"r{n}"] = float(error[start:stop].max(initial=0.0))
            start = stop
        return values, errors


def scales(f: Function, map_: Map, at: At, eps: float, seed: int) -> dict[str, float]:
    """Return, for each result of a map, its largest element, or more where larger numbers cancel."""
    base = map_(f, at)
    moved = noise(f, map_, at, base, np.random.default_rng((seed, 7)), eps)
    return {name: max(float(np.abs(a).max(initial=0.0)), moved[name] / eps) for name, a in base.items()}


def examine(w: Witness) -> Iterator[Row]:
    """Yield a row for every comparison; `worst` picks one of each map, result and method.

    Raises
    ------
    Kinked
        The witness takes differences, and they cannot tell: move the point, or do without.
    """
    yield from _first_order(w)
    yield from _linearity(w)
    if w.f.second_order:
        yield from _second_order(w)


def _first_order(w: Witness) -> Iterator[Row]:
    """Yield backward and rforward against the derivative of forward along single elements or directions."""
    gradients = backward(w.f, w.at({}))
    sizes = w.scale("backward", backward, w.at({}))
    ahead = w.f.second_order and type(w.f).rforward is not Function.rforward
    for name in w.f.variables:
        random = w.at(w.random((name,), 100))
        for place, u in _directions(w, name):
            at, found = w.at({name: u}), gradients[f"d{name}"]
            ry = rforward(w.f, at)["ry"] if ahead else None
            scale = _scale_of_derivative(w, name, random, ahead)
            size = max(sizes[f"d{name}"] * float(np.sqrt(np.sum(u * u))), scale * float(np.sqrt(np.sum(w.dy**2))))
            slope = np.sum(found * u)
            allowed = FACTOR * w.eps * size
            if w.wide is not None:
                true = w.by_complex_step(forward, at)["ry"]
                yield compare("backward", f"d{name}", "complex step", slope, np.sum(w.dy * true), allowed, size, place)
                if ry is not None:
                    where = f"along {name} {place}"
                    yield compare("rforward", "ry", "complex step", ry, true, FACTOR * w.eps * scale, scale, where)
            if w.differences:
                values, errors = w.by_differences("forward", forward, at, {"ry": scale})
                true, error = values["ry"], errors["ry"]
                more = allowed + 4.0 * float(np.sum(np.abs(w.dy))) * error
                yield compare("backward", f"d{name}", "differences", slope, np.sum(w.dy * true), more, size, place)
                if ry is not None:
                    more = FACTOR * w.eps * scale + 4.0 * error
                    yield compare("rforward", "ry", "differences", ry, true, more, scale, f"along {name} {place}")
            if ry is not None:
                there = np.sum(w.dy * ry)
                yield compare("backward", f"d{name}", "dot product", slope, there, allowed, size, place)
                yield compare("rforward", "ry", "dot product", there, slope, allowed, size, f"along {name} {place}")


def _scale_of_derivative(w: Witness, name: str, at: At, ahead: bool) -> float:
    """Return the scale of ry along one input."""
    if ahead:
        return w.scale("rforward", rforward, at, name)["ry"]
    own = w.scale("forward", forward, w.at({}))["y"]
    return max(own, float(np.abs(w.inputs[name]).max(initial=0.0)) * 1e-3)


def _directions(w: Witness, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the directions of one input, with what to call them."""
    shape = np.shape(w.inputs[name])
    size = int(np.prod(shape))
    if size <= w.full:
        for j in range(size):
            u = np.zeros(size)
            u[j] = 1.0
            yield str(tuple(int(i) for i in np.unravel_index(j, shape))), u.reshape(shape)
        return
    for j in range(w.directions):
        yield f"direction {j} of seed {w.seed}", direction(shape, (w.seed, j))


def _linearity(w: Witness) -> Iterator[Row]:
    """Yield each linear map at a combination against the combination of its results."""
    a, b = 1.5, -0.75
    other = direction(np.shape(w.dy), (w.seed, 300))
    pairs: list[tuple[str, At, At, At]] = [
        ("backward", w.at({}), w.at({}, dy=other), w.at({}, dy=a * w.dy + b * other))
    ]
    u, v = w.random(w.f.movable, 301), w.random(w.f.movable, 302)
    mixed = {name: a * u[name] + b * v[name] for name in u}
    if w.f.second_order:
        if type(w.f).rforward is not Function.rforward:
            pairs.append(("rforward", w.at(u), w.at(v), w.at(mixed)))
        pairs.append(("rbackward", w.at(u, w.dy), w.at(v, other), w.at(mixed, a * w.dy + b * other)))
    for name, first, second, third in pairs:
        map_ = MAPS[name]
        size = w.scale(name, map_, third, "linearity")
        one, two, three = (map_(w.f, at) for at in (first, second, third))
        for what, found in three.items():
            scale = max(size[what], float(np.abs(one[what]).max(initial=0)), float(np.abs(two[what]).max(initial=0)))
            expected = a * one[what] + b * two[what]
            yield compare(name, what, "linearity", found, expected, FACTOR * w.eps * scale, scale)


def _second_order(w: Witness) -> Iterator[Row]:
    """Yield rbackward and the Hessian's products against derivatives of backward and of the gradient."""
    movable = w.f.movable
    other = direction(np.shape(w.dy), (w.seed, 400))
    sets: list[tuple[str, Arrays, Any]] = [(name, w.random((name,), 401), None) for name in movable]
    sets += [
        ("dy", {}, other),
        ("everything", w.random(movable, 402), other),
        ("all inputs", w.random(movable, 403), None),
    ]
    for where, along, rdy in sets:
        at = w.at(along, rdy)
        yield from _against_derivatives(w, "rbackward", at, f"along {where}", where)
    if type(w.f).rforward is Function.rforward:
        yield from _symmetry(w, lambda u: w.f.rbackward(w.inputs, w.dy, u, None), "rbackward")
        return
    for j in range(2):
        yield from _against_derivatives(w, "HVP", w.at(w.random(movable, 404 + j)), f"direction {j}", f"{j}")
    yield from _symmetry(w, lambda u: {k[2:]: a for k, a in MAPS["HVP"](w.f, w.at(u)).items()}, "HVP")


def _against_derivatives(w: Witness, name: str, at: At, place: str, key: str) -> Iterator[Row]:
    """Yield the rows of a second map at one direction."""
    map_, first = MAPS[name], DERIVATIVE_OF[name]
    found, size = map_(w.f, at), w.scale(name, map_, at, key)
    biggest = max(size.values(), default=0.0)
    # The first map is rounded too, so that results far smaller than the others can be wrong by that much of those.
    if w.wide is not None and not w.f.by_complex_step:
        true = w.by_complex_step(first, at)
        for what, array in found.items():
            yield compare(name, what, "complex step", array, true[what], FACTOR * w.eps * size[what], size[what], place)
    if w.differences:
        floor = {what: max(s, 1e-6 * biggest) for what, s in size.items()}
        values, errors = w.by_differences("gradient" if name == "HVP" else "backward", first, at, floor)
        for what, array in found.items():
            more = FACTOR * w.eps * size[what] + 4.0 * errors[what]
            yield compare(name, what, "differences", array, values[what], more, floor[what], place)


def _symmetry(w: Witness, product: Any, name: str) -> Iterator[Row]:
    """Yield <u, H v> against <v, H u>."""
    names = w.f.variables
    u, v = w.random(names, 500), w.random(names, 501)
    hu, hv = product(u), product(v)
    one = [u[n] * hv[n] for n in names]
    two = [v[n] * hu[n] for n in names]
    size = float(np.sqrt(sum(np.sum(a * a) for a in [*one, *two])))
    found = w.scale("HVP", MAPS["HVP"], w.at(u), "symmetry") if name == "HVP" else {"all": size}
    size = max(size, *found.values()) if found else size
    left, right = sum(np.sum(a) for a in one), sum(np.sum(a) for a in two)
    yield compare(name, "u·Hv = v·Hu", "symmetry", left, right, FACTOR * w.eps * size, size)

"""The matrices of Winograd's minimal filters, from interpolation points (Toom 1963, Cook 1966; Winograd 1980).

F(m, r) gives m outputs of a filter with r taps, y[o] = Σ_a d[o + a] g[a], by n = m + r - 1 products instead of m r:

    y = Aᵀ ((G g) · (Bᵀ d)),       A (n, m),   G (n, r),   B (n, n)

It is the transpose of multiplying two polynomials by their values at n points, one of which is infinity. With
f(z) = Π (z - zₖ) over the finite points and fᵢ(z) = f(z) / (z - zᵢ), row i of A, G and Bᵀ is

    zᵢʲ,   zᵢʲ / fᵢ(zᵢ),   the coefficients of fᵢ;        at infinity  (0 ... 0 1),  (0 ... 0 1),  those of f

All are exact in binary where the points are small multiples of powers of two, up to 1 / fᵢ(zᵢ). The points decide how
rounding grows (Barabasz et al. 2020): those below were the best of a search among such, for the error of the result.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

Matrix = tuple[tuple[Fraction, ...], ...]

POINTS: dict[tuple[int, int], tuple[Fraction, ...]] = {
    (2, 2): (Fraction(0), Fraction(1)),
    (4, 2): (Fraction(1, 2), Fraction(-1, 2), Fraction(5, 4), Fraction(-5, 4)),
    (2, 3): (Fraction(0), Fraction(1), Fraction(-1)),
    (3, 3): (Fraction(1, 2), Fraction(-1, 2), Fraction(5, 4), Fraction(-5, 4)),
    (4, 3): (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2)),
}
"""The finite points of F(m, r).

F(7, 2), in two dimensions 64 products where tiles of 4 and 3 outputs take 81, is not among them: its best points (0,
±1/2, ±1, ±2) round 8 times as much as those tiles, and with it along one axis alone still 3 times.
"""


def matrices(m: int, r: int, outputs: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return A (n, m), G (n, r) and Bᵀ (n, n) of F(m, r), where only so many of the m outputs are wanted.

    Fewer of them take fewer points, of the same: rows of A and Bᵀ are 0 at the others. G is that of all m outputs, so
    that one weight serves all tiles; Bᵀ makes up for fᵢ(zᵢ) being of more points than are used.
    """
    points, used = POINTS[m, r], POINTS[m, r][: points_used(r, outputs)]
    a, b = [], []
    for point in points:
        f = _monic([other for other in used if other != point])
        more = prod(point - other for other in points if other not in used)
        is_used = point in used
        a.append([point**j * (is_used and j < outputs) for j in range(m)])
        b.append([c * more * is_used for c in [*f, *[Fraction(0)] * (m + r)][: m + r - 1]])
    values = [_value(_monic([other for other in points if other != point]), point) for point in points]
    g = [[point**j / value for j in range(r)] for point, value in zip(points, values, strict=True)]
    last = [*_monic(used), *[Fraction(0)] * (m + r)][: m + r - 1]
    return (
        _freeze([*a, [Fraction(int(j == outputs - 1)) for j in range(m)]]),
        _freeze([*g, [Fraction(int(j == r - 1)) for j in range(r)]]),
        _freeze([*b, last]),
    )


def points_used(r: int, outputs: int) -> int:
    """Return how many of the finite points so many outputs take: the first ones; infinity is taken always."""
    return outputs + r - 2


def transposed(matrix: Matrix) -> Matrix:
    """Return the transpose."""
    return tuple(zip(*matrix, strict=True))


def _monic(roots: tuple[Fraction, ...] | list[Fraction]) -> list[Fraction]:
    """Return the coefficients of Π (z - root), the constant first."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _value(coefficients: list[Fraction], point: Fraction) -> Fraction:
    return sum((c * point**j for j, c in enumerate(coefficients)), Fraction(0))


def _freeze(rows: list[list[Fraction]]) -> Matrix:
    return tuple(map(tuple, rows))

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

Matrix = tuple[tuple[Fraction, ...], ...]

POINTS: dict[tuple[int, int], tuple[Fraction, ...]] = {
    (2, 2): (Fraction(0), Fraction(1)),
    (4, 2): (Fraction(1, 2), Fraction(-1, 2), Fraction(5, 4), Fraction(-5, 4)),
    (2, 3): (Fraction(0), Fraction(1), Fraction(-1)),
    (3, 3): (Fraction(1, 2), Fraction(-1, 2), Fraction(5, 4), Fraction(-5, 4)),
    (4, 3): (Fraction(0), Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2)),
}
"""The finite points of F(m, r)."""


def matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return A (n, m), G (n, r) and Bᵀ (n, n) of F(m, r)."""
    points = POINTS[m, r]
    without = [_monic([other for other in points if other != point]) for point in points]
    values = [sum(c * point**j for j, c in enumerate(f)) for point, f in zip(points, without, strict=True)]
    a = [[point**j for j in range(m)] for point in points] + [_last(m)]
    g = [[point**j / value for j in range(r)] for point, value in zip(points, values, strict=True)] + [_last(r)]
    b = [[*f, Fraction(0)] for f in without] + [_monic(points)]
    return _freeze(a), _freeze(g), _freeze(b)


def transposed(matrix: Matrix) -> Matrix:
    """Return the transpose."""
    return tuple(zip(*matrix, strict=True))


def _monic(roots: tuple[Fraction, ...] | list[Fraction]) -> list[Fraction]:
    """Return the coefficients of Π (z - root), the constant first."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _last(size: int) -> list[Fraction]:
    return [Fraction(int(j == size - 1)) for j in range(size)]


def _freeze(rows: list[list[Fraction]]) -> Matrix:
    return tuple(map(tuple, rows))

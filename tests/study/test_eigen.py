"""Eigenvalues, dense and by ARPACK, against NumPy's; what is hard about them is said."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from npgan.errors import ConfigError, ConvergenceError, DTypeError, NonFiniteError, ShapeError
from npgan.study import eigen

MATRIX = np.random.default_rng(0).normal(size=(60, 60))
KEYS = {"modulus": np.abs, "real": np.real, "imaginary": lambda values: np.abs(values.imag)}


@pytest.mark.parametrize("order", KEYS)
def test_all_of_them(order):
    found = eigen(aslinearoperator(MATRIX), order=order)
    expected = np.linalg.eigvals(MATRIX)
    assert found.complete
    assert (np.diff(KEYS[order](found.values)) < 1e-9).all()
    np.testing.assert_allclose(np.sort_complex(found.values), np.sort_complex(expected), atol=1e-10)
    np.testing.assert_allclose(MATRIX @ found.vectors, found.vectors * found.values, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1.0)
    assert found.residuals.max() < 1e-12
    assert found.trace == pytest.approx(np.trace(MATRIX))
    assert found.determinant == pytest.approx(np.linalg.det(MATRIX))
    assert not found.defective


@pytest.mark.parametrize("order", KEYS)
@pytest.mark.parametrize("k", [2, 6])
def test_the_leading_ones(order, k):
    found = eigen(aslinearoperator(MATRIX), k, order=order)
    expected = eigen(aslinearoperator(MATRIX), order=order)
    assert not found.complete
    np.testing.assert_allclose(KEYS[order](found.values), KEYS[order](expected.values)[:k], atol=1e-7)
    assert found.residuals.max() < 1e-8
    assert np.isnan(found.conditions).all()
    again = eigen(aslinearoperator(MATRIX), k, order=order)
    np.testing.assert_array_equal(again.values, found.values)


def test_nearly_all_are_all():
    found = eigen(aslinearoperator(MATRIX), 59)
    assert len(found.values) == 59
    assert found.residuals.max() < 1e-12
    assert not found.complete


def test_conditions_of_eigenvalues():
    """The condition number is how far an eigenvalue moves: of a normal matrix 1, and else as a perturbation shows."""
    normal = eigen(aslinearoperator(MATRIX - MATRIX.T))
    np.testing.assert_allclose(normal.conditions, 1.0, rtol=1e-9)
    found = eigen(aslinearoperator(MATRIX))
    left = np.linalg.inv(found.vectors).conj().T
    i = int(np.argmax(found.conditions))
    worst = np.outer(left[:, i], found.vectors[:, i].conj())
    worst *= 1e-7 / np.linalg.norm(worst, 2)
    moved = np.linalg.eigvals(MATRIX + worst)
    assert np.abs(moved - found.values[i]).min() == pytest.approx(1e-7 * found.conditions[i], rel=1e-3)


@pytest.mark.parametrize("matrix", [[[0.9, 1.0], [0.0, 0.9]], [[-0.75, 0.5], [-0.125, -0.25]]])
def test_defective_matrices_are_said_to_be(matrix):
    found = eigen(aslinearoperator(np.array(matrix)))
    assert found.defective
    assert found.conditions.max() > 1e7
    assert found.trace == pytest.approx(np.trace(matrix), abs=1e-12)
    assert found.determinant == pytest.approx(np.linalg.det(matrix), abs=1e-12)


def test_arpack_that_does_not_converge():
    with pytest.raises(ConvergenceError, match=r"ARPACK found \d of 3 eigenvalues of a 60 x 60 operator to 1e-10 in 1"):
        eigen(aslinearoperator(MATRIX), 3, order="real", iterations=1)
    nothing = LinearOperator((60, 60), matvec=lambda u: 0 * u, dtype=np.float64)
    with pytest.raises(ConvergenceError, match="ARPACK gave up on a 60 x 60 operator"):
        eigen(nothing, 3)


def test_products_that_are_not_finite():
    bad = LinearOperator((60, 60), matvec=lambda u: u * np.nan, dtype=np.float64)
    for k in (None, 3):
        with pytest.raises(NonFiniteError, match="a product with the operator is not finite"):
            eigen(bad, k)


def test_float32_is_solved_in_float64():
    narrow = aslinearoperator(MATRIX.astype("float32"))
    for k in (None, 4):
        found = eigen(narrow, k)
        assert found.values.dtype == np.complex128
        expected = eigen(aslinearoperator(MATRIX)).values[: len(found.values)]
        np.testing.assert_allclose(np.abs(found.values), np.abs(expected), rtol=1e-3)


def test_refusals():
    with pytest.raises(ConfigError, match="order is 'size'"):
        eigen(aslinearoperator(MATRIX), order="size")
    with pytest.raises(ConfigError, match="k is 0"):
        eigen(aslinearoperator(MATRIX), 0)
    with pytest.raises(ConfigError, match="a dense matrix of 5,000 columns"):
        eigen(LinearOperator((5000, 5000), matvec=lambda u: u, dtype=np.float64))
    with pytest.raises(DTypeError, match="operator is a ndarray, expected a LinearOperator"):
        eigen(MATRIX)
    with pytest.raises(ShapeError, match=r"operator is \(60, 3\), expected \(n, n\)"):
        eigen(aslinearoperator(MATRIX[:, :3]))
    # All are found by another solver, which uses neither.
    for option in ("tol", "iterations", "seed"):
        for k in (None, 3):
            with pytest.raises(ConfigError, match=f"{option} is 'x'"):
                eigen(aslinearoperator(MATRIX), k, **{option: "x"})

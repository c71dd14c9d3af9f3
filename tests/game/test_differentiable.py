"""What follows from the products: blocks, operators, the dense Jacobian, and refusals."""

import numpy as np
import pytest

from npgan.errors import ConfigError, DTypeError, ShapeError
from npgan.game import dense, dirac_gan
from npgan.game.differentiable import on_host


@pytest.fixture
def field(table):
    return table("dense", "non-saturating", order=2, penalties=["r1"]).field()


def test_blocks_are_blocks_of_the_jacobian(field):
    J, d = field.jacobian(), field.sizes[0]
    parts = {"D": slice(None, d), "G": slice(d, None)}
    for row, i in parts.items():
        for column, j in parts.items():
            block = field.block(row, column)
            assert block.shape == J[i, j].shape
            np.testing.assert_allclose(dense(block), J[i, j], atol=1e-15)
            np.testing.assert_allclose(dense(block.T), J[i, j].T, atol=1e-14)


def test_one_players_part(field):
    u = np.random.default_rng(0).normal(size=field.size)
    for product in (field.jvp, field.vjp):
        d, g = field.split(product(u))
        np.testing.assert_allclose(product(u, "D"), d, rtol=1e-13)
        np.testing.assert_allclose(product(u, "G"), g, rtol=1e-13)
    np.testing.assert_array_equal(np.concatenate([field.gradient("D"), field.gradient("G")]), field.gradient())


def test_transposes_of_rows_and_of_cross_gradients(field):
    draw = np.random.default_rng(2)
    along, u = draw.normal(size=(2, field.size))
    for player, part in zip("DG", field.split(u), strict=True):
        row, cross = field.jvp(along, player), field.cross_jvp(along, player)
        np.testing.assert_allclose(field.row_vjp(player, part) @ along, part @ row, rtol=1e-12)
        np.testing.assert_allclose(field.cross_vjp(part, player) @ along, part @ cross, rtol=1e-12)
    np.testing.assert_allclose(field.cross_vjp(u) @ along, u @ field.cross_jvp(along), rtol=1e-12)


def test_the_operator_is_scipys(field):
    J, operator = field.jacobian(), field.operator()
    draw = np.random.default_rng(1)
    u = draw.normal(size=field.size) + 1j * draw.normal(size=field.size)
    np.testing.assert_allclose(operator @ u, J @ u, atol=1e-13)
    np.testing.assert_allclose(operator.rmatvec(u), J.T @ u, atol=1e-13)
    both = draw.normal(size=(field.size, 2))
    np.testing.assert_allclose(operator @ both, J @ both, atol=1e-13)
    assert operator.dtype == np.float64


def test_what_is_returned_is_fresh(field):
    u = np.ones(field.size)
    calls = [field.gradient, field.cross_gradient, lambda: field.jvp(u), lambda: field.vjp(u)]
    calls += [lambda p=p: field.gradient(p) for p in "DG"] + [lambda p=p: field.cross_gradient(p) for p in "DG"]
    for call in calls:
        first = call()
        kept = first.copy()
        first *= 0
        np.testing.assert_array_equal(call(), kept)
    theta = field.theta
    theta *= 0
    assert np.abs(field.theta).max() > 0


def test_refusals(field):
    n, (d, g) = field.size, field.sizes
    with pytest.raises(ShapeError, match=rf"u is \(3,\), expected \({n},\) \({d} of D, then {g} of G\)"):
        field.jvp(np.ones(3))
    with pytest.raises(ShapeError, match=rf"u is \({d},\), expected \({g},\)"):
        field.block_jvp("D", "G", np.ones(d))
    with pytest.raises(DTypeError, match="u is float32, expected float64 as the game"):
        field.vjp(np.ones(n, "float32"))
    with pytest.raises(DTypeError, match="u is a list, expected an array of numpy"):
        field.vjp([1.0] * n)
    with pytest.raises(ShapeError, match="theta is"):
        field.load(np.ones(3))
    for call in (lambda: field.gradient("H"), lambda: field.block("D", "d"), lambda: field.jvp(np.ones(n), "")):
        with pytest.raises(ConfigError, match='expected "D" or "G"'):
            call()
    with pytest.raises(ConfigError, match="a dense matrix of 5,000 columns was asked for, and 4,096 is the limit"):
        dense(on_host((5000, 5000), field.backend, field.dtype, lambda u: u))


def test_moving(field):
    theta = field.theta
    with field.write("G") as weights:
        weights[...] = 1.0
    np.testing.assert_array_equal(field.split(field.theta)[0], field.split(theta)[0])
    np.testing.assert_array_equal(field.split(field.theta)[1], 1.0)
    field.load(theta)
    np.testing.assert_array_equal(field.theta, theta)


def test_a_game_of_two_weights():
    game = dirac_gan()
    assert game.sizes == (1, 1)
    assert game.size == 2

"""rforward and rbackward of whole networks: the derivative of forward and backward, by the complex step."""

from itertools import product

import numpy as np
import pytest

from npgan.errors import ConfigError, SecondOrderError, StalePassError
from npgan.layers import ConcatCondition, Conv2d, Dense, Embedding, Flatten, Layer, Parallel, Plan, Residual, Skip, Tanh
from npgan.network import Network

H = 1e-20
NETWORKS = {
    "dense": ([Dense(6), Dense(4), Dense(2)], (3,), None),
    "branches": (
        [
            Parallel([Dense(5), Dense(5)], join="add"),
            Residual([Dense(5)], [Dense(5), Dense(5)]),
            Skip(Dense(2)),
            Dense(3),
        ],
        (4,),
        None,
    ),
    "images": ([Conv2d(3, 3, stride=2, padding=1), Skip(Conv2d(2, 1)), Flatten(), Dense(2)], (4, 4, 2), None),
    "condition": ([ConcatCondition([Dense(2)]), Dense(4), ConcatCondition(), Dense(2)], (3,), (2,)),
}


class Setup:
    def __init__(self, name):
        layers, shape, self.condition_shape = NETWORKS[name]
        options = {"condition_shape": self.condition_shape, "name": "N"}
        self.network = Network(layers, shape, dtype="float64", **options)
        self.wide = Network(layers, shape, dtype="complex128", backend="reference", **options)
        draw = np.random.default_rng(0)
        self.network.load(self.network.theta + 0.3 * draw.normal(size=self.network.size))
        self.batch = 4
        shapes = {"x": shape, "condition": self.condition_shape or (), "dy": self.network.output_shape}
        self.at = {key: draw.normal(size=(self.batch, *s)) for key, s in shapes.items()}
        self.along = {key: draw.normal(size=(self.batch, *s)) for key, s in shapes.items()}
        self.along["theta"] = draw.normal(size=self.network.size)

    @property
    def condition(self):
        return self.at["condition"] if self.condition_shape else None

    def truth(self, moving):
        """Return ry, rdx, rdtheta and rdcondition: the derivatives along those directions that are in `moving`."""
        moved = {key: a + 1j * H * (self.along[key] if key in moving else 0) for key, a in self.at.items()}
        theta = self.network.theta + 1j * H * (self.along["theta"] if "theta" in moving else 0)
        self.wide.load(theta.astype(complex))
        p = self.wide.new_pass(self.batch)
        y = p.forward(moved["x"], moved["condition"] if self.condition_shape else None)
        dtheta = np.zeros(self.wide.size, complex)
        real = self.condition_shape is not None
        ry = y.imag / H
        dx = p.backward(moved["dy"], dtheta=dtheta, dcondition=real)
        return ry, dx.imag / H, dtheta.imag / H, p.dcondition.imag / H if real else None

    def forward(self, p):
        p.forward(self.at["x"], self.condition)

    def backward(self, p):
        p.backward(self.at["dy"], dtheta=self.network.grad, dcondition=self.condition_shape is not None)

    def rforward(self, p, moving):
        def given(key):
            return self.along[key] if key in moving else None

        return p.rforward(given("x"), rtheta=given("theta"), rcondition=given("condition")).copy()

    def rbackward(self, p, moving):
        rdtheta = np.full(self.network.size, np.nan)
        real = self.condition_shape is not None
        rdx = p.rbackward(self.along["dy"] if "dy" in moving else None, rdtheta=rdtheta, rdcondition=real).copy()
        return rdx, rdtheta, p.rdcondition.copy() if real else None


def compare(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(1, np.abs(b).max()))


@pytest.fixture(params=list(NETWORKS))
def setup(request):
    return Setup(request.param)


@pytest.mark.parametrize("keep", ["needed", "all"])
def test_every_set_of_directions(setup, keep):
    p = setup.network.new_pass(setup.batch, order=2, keep=keep)
    setup.forward(p)
    p.arena.region[...] = 0xFF  # what is not written must not be read
    keys = [key for key in ("x", "theta", "dy", "condition") if key != "condition" or setup.condition_shape]
    for flags in product((False, True), repeat=len(keys)):
        moving = {key for key, flag in zip(keys, flags, strict=True) if flag}
        setup.forward(p)
        setup.backward(p)
        ry = setup.rforward(p, moving)
        compare((ry, *setup.rbackward(p, moving)), setup.truth(moving))


@pytest.mark.parametrize("keep", ["needed", "all"])
@pytest.mark.parametrize(
    "order", ["f b r B", "f r b B", "f b r b B", "f b r B B", "f b r r B", "f b r B r B B", "f b b r B"]
)
def test_the_maps_may_run_in_any_order_and_again(setup, order, keep):
    everything = {"x", "theta", "dy"} | ({"condition"} if setup.condition_shape else set())
    p = setup.network.new_pass(setup.batch, order=2, keep=keep)
    ry, found = None, None
    for step in order.split():
        if step == "f":
            setup.forward(p)
        elif step == "b":
            setup.backward(p)
        elif step == "r":
            ry = setup.rforward(p, everything)
        else:
            found = setup.rbackward(p, everything)
    compare((ry, *found), setup.truth(everything))


class First(Layer):
    """A layer of first order."""

    def plan(self, x, k):
        return Plan(y=x)

    def forward(self, f):
        f.y[...] = f.x

    def backward(self, f):
        f.dx[...] = f.dy


def test_twins_go_forward_together_and_back_on_their_own(setup):
    p, alone = setup.network.new_pass(setup.batch, order=2), setup.network.new_pass(setup.batch, order=2)
    twin = p.twin("twin")
    assert p.nbytes < twin.nbytes < 2 * p.nbytes
    assert twin.arena.nbytes == twin.nbytes
    real, dy = setup.condition_shape is not None, setup.at["dy"]
    for first, second in ((p, twin), (twin, p)):
        first.forward(setup.at["x"], setup.condition)
        np.testing.assert_array_equal(second.y, alone.forward(setup.at["x"], setup.condition))
        first.backward(2 * dy, dcondition=real)
        second.backward(dy, dcondition=real)
        first.rforward(setup.along["x"], rtheta=setup.along["theta"])
        alone.backward(dy, dcondition=real)
        ry = alone.rforward(setup.along["x"], rtheta=setup.along["theta"])
        np.testing.assert_array_equal(second.ry, ry)
        expected, found, double = (np.zeros(setup.network.size) for _ in range(3))
        rdx = alone.rbackward(setup.along["dy"], rdtheta=expected)
        np.testing.assert_array_equal(second.rbackward(setup.along["dy"], rdtheta=found), rdx)
        np.testing.assert_array_equal(found, expected)
        first.rbackward(2 * setup.along["dy"], rdtheta=double)
        np.testing.assert_array_equal(double, 2 * expected)


def test_what_a_twin_refuses():
    network = Network([Dense(3)], (2,), dtype="float64")
    with pytest.raises(ConfigError, match="is for one of order 2"):
        network.new_pass(2).twin("b")
    p = network.new_pass(2, order=2)
    twin = p.twin("b")
    for each in (p, twin):
        with pytest.raises(ConfigError, match="that has none"):
            each.twin("c")
    with pytest.raises(StalePassError, match="forward has not run"):
        twin.backward(np.ones((2, 3)))
    p.forward(np.ones((2, 2)))
    twin.backward(np.ones((2, 3)))
    with pytest.raises(StalePassError, match="has no R-derivative"):
        twin.ry  # noqa: B018
    p.forward(np.ones((2, 2)))
    with pytest.raises(StalePassError, match="none has run since forward"):
        twin.rbackward()


def test_every_gradient_is_known_to_the_r_maps():
    """Of what only weights are below, too: backward finds it, without the weights' own gradient."""
    network = Network(
        [ConcatCondition(Embedding(3, 2)), Dense(3), Tanh(), Dense(1)], (2,), dtype="float64", condition_shape=()
    )
    p = network.new_pass(2, order=2)
    draw = np.random.default_rng(0)
    x, labels, dy, u = (
        draw.normal(size=(2, 2)),
        np.array([0, 2]),
        draw.normal(size=(2, 1)),
        draw.normal(size=network.size),
    )
    found, expected = np.zeros(network.size), np.zeros(network.size)
    p.forward(x, labels)
    p.backward(dy, dtheta=np.zeros(network.size))
    p.rforward(rtheta=u)
    p.rbackward(rdtheta=expected)
    p.forward(x, labels)
    p.backward(dy)
    p.rforward(rtheta=u)
    p.rbackward(rdtheta=found)
    np.testing.assert_array_equal(found, expected)


def test_what_is_refused():
    with pytest.raises(SecondOrderError, match=r"^D/1/main/0 First has no R-maps"):
        Network([Dense(3), Residual([First()])], (3,), name="D").new_pass(2, order=2)
    network = Network([Dense(3)], (3,), dtype="float64", name="D")
    first, p = network.new_pass(2), network.new_pass(2, order=2)
    x = np.ones((2, 3))
    first.forward(x)
    for call in (lambda: first.rforward(x), lambda: first.rbackward(x)):
        with pytest.raises(ConfigError, match="planned with order=1; make it with order=2"):
            call()
    with pytest.raises(StalePassError, match="forward has not run"):
        p.rforward(x)
    p.forward(x)
    p.rforward(x)
    with pytest.raises(StalePassError, match="rbackward differentiates a backward, and none has run"):
        p.rbackward(x)
    p.backward(x)
    p.rbackward(x)
    with pytest.raises(StalePassError, match="rdcondition=True"):
        _ = p.rdcondition
    with network.write() as theta:
        theta *= 2
    for call in (lambda: p.rforward(x), lambda: p.rbackward(x)):
        with pytest.raises(StalePassError, match="written after forward"):
            call()

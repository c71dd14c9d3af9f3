"""The test of the test: planted errors are found, right layers pass."""

import numpy as np
import pytest

from npgan.errors import NpganError
from npgan.gradcheck import GradientError, check
from npgan.layers import (
    BatchNorm,
    ConcatCondition,
    Conv2d,
    Dense,
    Embedding,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2d,
    Parameter,
    Plan,
    ReLU,
    Spec,
    Tanh,
)
from npgan.layers.initializers import Normal
from npgan.losses import LOSSES, get_loss


class Planted(Layer):
    """y = x w with a scale, and an error in one place."""

    def __init__(self, error="none", amount=1e-3):
        self.error, self.amount = error, amount

    def plan(self, x, k):
        return Plan(
            y=x,
            parameters={"weight": Parameter(x.shape[-1:], Normal(1.0, 1.0)), "shift": Parameter((1,), Normal(1.0))},
            keeps={"x"},
            scratch={"sum": Spec(x.shape)},
        )

    def forward(self, f):
        np.multiply(f.x, f.w["weight"], out=f.y)
        f.y += f.w["shift"]
        if self.error == "x":
            f.x += self.amount
        if self.error == "y":
            f.y[0] = f.y[1]
            f.y[-1].reshape(-1)[-1] = f.scratch["sum"][-1].reshape(-1)[-1]

    def backward(self, f):
        over = 1 + self.amount
        if f.dx is not None:
            np.multiply(f.dy, f.w["weight"], out=f.dx)
            if self.error == "dx":
                f.dx *= over
            elif self.error == "one of dx":
                f.dx.reshape(-1)[3] *= over
            elif self.error == "sign of dx":
                f.dx *= -1
        if f.dw is not None:
            terms = (f.x * f.dy).reshape(-1, f.x.shape[-1])
            for name, value in (("weight", terms.sum(axis=0)), ("shift", f.dy.sum().reshape(1))):
                if self.error == f"d{name}":
                    value = value * over
                if f.accumulate and self.error != "accumulate":
                    f.dw[name] += value
                else:
                    f.dw[name][...] = value
            if self.error == "always accumulates":
                f.dw["weight"] += 1e-3 * terms.sum(axis=0)


class Unwritten(Planted):
    """One element of a result is left as it was."""

    def backward(self, f):
        kept = {
            "dx": None if f.dx is None else f.dx.reshape(-1)[2],
            "dw": None if f.dw is None else f.dw["weight"][1].copy(),
        }
        super().backward(f)
        if self.error == "dx unwritten" and f.dx is not None:
            f.dx.reshape(-1)[2] = kept["dx"]
        if self.error == "dw unwritten" and f.dw is not None:
            f.dw["weight"][1] = kept["dw"]


class AddsToDx(Planted):
    """dx is added to, where it must be overwritten; memory fresh from the system hides that once."""

    def backward(self, f):
        before = None if f.dx is None else f.dx.copy()
        super().backward(f)
        if f.dx is not None:
            f.dx += before


class Writes(Layer):
    """y = 2 x, right in what it returns, but it writes where its neighbours read."""

    def __init__(self, where):
        self.where = where

    def plan(self, x, k):
        return Plan(y=x)

    def forward(self, f):
        np.multiply(f.x, 2.0, out=f.y)
        if self.where == "x in forward":
            f.x += 1e-3

    def backward(self, f):
        np.multiply(f.dy, 2.0, out=f.dx)
        if self.where != "x in forward":
            array = getattr(f, self.where)
            array *= 1.001


class Remembers(Planted):
    """A layer that holds something of a call: the second one gives something else."""

    calls = 0

    def forward(self, f):
        super().forward(f)
        self.calls += 1
        f.y *= self.calls


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("shape", [(4,), (5, 6, 4)])  # element by element, and along directions
def test_a_right_layer_passes(shape, backend):
    report = check(Planted(), shape, backend=backend)
    assert report.ok
    assert [row.what for row in report.rows] == ["dx", "d0/weight", "d0/shift"]
    assert "Planted" in str(report)
    assert "ok" in str(report)


@pytest.mark.parametrize("shape", [(4,), (5, 6, 4)])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Planted("dx"), "WRONG dx"),
        (Planted("one of dx", 0.5), "WRONG dx"),
        (Planted("sign of dx"), "WRONG dx"),
        (Planted("dweight"), "WRONG d0/weight"),
        (Planted("dshift"), "WRONG d0/shift"),
        (Planted("accumulate"), "accumulate=True did not add"),
        (Planted("always accumulates"), "WRONG d0/weight"),
        (Planted("x"), "x of check/0 Planted was changed"),
        (Unwritten("dx unwritten"), "dx .*not finite|WRONG dx"),
        (Unwritten("dw unwritten"), "dtheta.* left|not finite"),
        (AddsToDx(), "dx .*not finite|WRONG dx|second backward"),
        (Remembers(), "another result"),
        (Planted("y"), "not finite|WRONG"),
    ],
    ids=lambda value: f"{type(value).__name__} {value.error}" if isinstance(value, Layer) else "",
)
def test_planted_errors_are_found(layer, message, shape):
    with pytest.raises(GradientError, match=message):
        check(layer, shape)


@pytest.mark.parametrize("where", ["x in forward", "x", "y", "dy"])
@pytest.mark.parametrize("around", [[], [Tanh()]])
def test_writing_where_neighbours_read_is_found(where, around):
    # After another layer, what is changed is that one's y.
    name = "(x|y)" if where.startswith("x") else where
    with pytest.raises(GradientError, match=rf"{name} of check/\d (Writes|Tanh) was changed"):
        check([*around, Writes(where)], (3,))


@pytest.mark.parametrize("seed", range(10))
def test_small_errors_are_found_at_any_point(seed):
    assert check(Planted(), (3, 5, 4), seed=seed).ok
    for error in ("dx", "dweight", "dshift"):
        with pytest.raises(GradientError, match=f"seed {seed}"):
            check(Planted(error, 1e-6), (3, 5, 4), seed=seed)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([ReLU()], (30,)),
        ([Dense(20), ReLU(), Dense(20), LeakyReLU(0.2), Dense(1)], (10,)),
        ([Conv2d(6, 3, padding=1), BatchNorm(), ReLU(), MaxPool2d(2), Flatten(), Dense(1)], (8, 8, 2)),
    ],
)
def test_kinks_do_not_fail_a_right_layer(layers, shape, seed):
    assert check(layers, shape, seed=seed).ok


def test_conditions_and_labels():
    rows = check([ConcatCondition([Dense(2), Tanh()]), Dense(2)], (3,), condition_shape=(2,)).rows
    assert [row.what for row in rows][:2] == ["dx", "dcondition"]
    rows = check([ConcatCondition(Embedding(4, 2)), Dense(2)], (3,), labels=4).rows
    assert [row.what for row in rows][:2] == ["dx", "d0/inner/weight"]
    rows = check([Embedding(4, 2), Dense(2)], (3,), input_labels=4).rows
    assert [row.what for row in rows][:1] == ["d0/weight"]


def test_errors_of_the_layer_are_its_own():
    with pytest.raises(NpganError, match="check/0 Conv2d"):
        check(Conv2d(2, 3), (4,))


class AsLayer(Layer):
    """A term of a loss as a layer with one output a sample: y = l(x) w n / n."""

    def __init__(self, term):
        self.term = term

    def plan(self, x, k):
        return Plan(y=x, keeps={"x"}, scratch={"slope": x})

    def forward(self, f):
        flat, out = f.x.reshape(-1), f.y.reshape(-1)
        slope = np.empty(1)
        for i in range(flat.size):  # the mean over one logit is the function itself
            out[i] = self.term.value_and_gradient(slope, flat[i : i + 1])

    def backward(self, f):
        self.term.value_and_gradient(f.dx, f.x)
        f.dx *= f.x.size
        f.dx *= f.dy


@pytest.mark.parametrize("part", ["real", "fake", "generator"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_passes(name, part):
    assert check(AsLayer(getattr(get_loss(name, backend="cpu"), part)), (9,)).ok

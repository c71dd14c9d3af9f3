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
    InstanceNorm,
    Layer,
    LayerNorm,
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


def results(report, map_):
    return list(dict.fromkeys(row.what for row in report.rows if row.map == map_))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("shape", [(4,), (5, 6, 4)])  # element by element, and along directions
def test_a_right_layer_passes(shape, backend):
    report = check(Planted(), shape, backend=backend)
    assert report.ok
    assert results(report, "backward") == ["dx", "d0/weight", "d0/shift"]
    assert {row.method for row in report.rows} >= {"complex step", "differences", "linearity", "contract"}
    assert all(row.error < 1e-9 for row in report.rows)
    assert [note[:37] for note in report.notes] == ["the second-order maps were not checke"]
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
        (Unwritten("dx unwritten"), "dx is not finite|not all was written"),
        (Unwritten("dw unwritten"), "d0/weight is not finite"),
        (AddsToDx(), r"dx \(backward\) came out different|dx is not finite"),
        (Remembers(), r"y \(forward\).* came out different in a second run"),
        (Planted("y"), "y is not finite|not all was written|without what the plan does not keep"),
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
        with pytest.raises(GradientError, match=f"see it again: .*Planted.*, seed={seed}"):
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
    report = check([ConcatCondition([Dense(2), Tanh()]), Dense(2)], (3,), condition_shape=(2,))
    assert results(report, "backward")[:2] == ["dx", "dcondition"]
    assert results(report, "rbackward")[:2] == ["rdx", "rdcondition"]
    report = check([ConcatCondition(Embedding(4, 2)), Dense(2)], (3,), labels=4)
    assert results(report, "backward")[:2] == ["dx", "d0/inner/weight"]
    report = check([Embedding(4, 2), Dense(2)], (3,), input_labels=4)
    assert results(report, "backward")[:1] == ["d0/weight"]


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


class Curved(Layer):
    """y = x³/3 w with all four maps, and a term of rbackward that can be left out."""

    second_order = True

    def __init__(self, without=""):
        self.without = without

    def plan(self, x, k):
        return Plan(y=x, parameters={"w": Parameter((1,), Normal(1.0, 1.0))}, keeps={"x"})

    def forward(self, f):
        f.y[...] = f.x * f.x * f.x / 3 * f.w["w"]

    def backward(self, f):
        if f.dx is not None:
            f.dx[...] = f.dy * f.x * f.x * f.w["w"]
        if f.dw is not None:
            self._write(f.dw, f.accumulate, (f.dy * f.x * f.x * f.x / 3).sum())

    def rforward(self, f):
        f.ry[...] = f.rx * f.x * f.x * f.w["w"]
        if f.rw is not None and self.without != "rw of ry":
            f.ry += f.x * f.x * f.x / 3 * f.rw["w"]

    def rbackward(self, f):
        if f.rdx is not None:
            f.rdx[...] = f.rdy * f.x * f.x * f.w["w"]
            if self.without != "rx of rdx":  # right for piecewise linear layers alone
                f.rdx += 2 * f.dy * f.x * f.rx * f.w["w"]
            if f.rw is not None and self.without != "rw of rdx":
                f.rdx += f.dy * f.x * f.x * f.rw["w"]
        if f.rdw is not None:
            moved = 0 if self.without == "rx of rdw" else f.dy * f.x * f.x * f.rx
            self._write(f.rdw, f.accumulate, (f.rdy * f.x * f.x * f.x / 3 + moved).sum())

    @staticmethod
    def _write(dw, accumulate, value):
        if accumulate:
            dw["w"] += value
        else:
            dw["w"][...] = value


def test_second_order():
    report = check(Curved(), (4,))
    assert {row.map for row in report.rows} == {"contract", "forward", "backward", "rforward", "rbackward", "HVP"}
    assert not report.notes
    for without, what in (
        ("rw of ry", "WRONG ry"),
        ("rx of rdx", "WRONG rdx"),
        ("rw of rdx", "WRONG rdx"),
        ("rx of rdw", "WRONG rd0/w"),
    ):
        with pytest.raises(GradientError, match=what):
            check(Curved(without), (4,))


class Modulus(Layer):
    """y = |x| x, which no complex number goes through unharmed."""

    def __init__(self, factor=2.0):
        self.factor = factor

    def plan(self, x, k):
        return Plan(y=x, keeps={"x"})

    def forward(self, f):
        f.y[...] = np.abs(f.x) * f.x

    def backward(self, f):
        f.dx[...] = self.factor * np.abs(f.x) * f.dy


def test_a_layer_that_is_not_analytic_is_checked_by_differences():
    report = check(Modulus(), (6,))
    assert any("the complex step could not be used" in note for note in report.notes)
    assert "complex step" not in {row.method for row in report.rows}
    with pytest.raises(GradientError, match=r"WRONG dx .* by differences"):
        check(Modulus(2.002), (6,))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Dense(3), BatchNorm()], (4,)),
        ([Conv2d(2, 3), BatchNorm(), Tanh()], (5, 5, 1)),
        ([Dense(5), LayerNorm(), Tanh(), Dense(3), InstanceNorm()], (2, 5)),  # places so alike that it is steep
    ],
)
def test_a_gradient_that_is_0_by_cancellation_passes(layers, shape, seed):
    # A bias before a normalisation; what is left of it is rounding.
    report = check(layers, shape, seed=seed)
    assert report.ok
    assert "complex step" in {row.method for row in report.rows}


class Zigzag(Layer):
    """y = the sum of x's distances from the next multiples of some periods, each with a kink twice a period."""

    def __init__(self, period, analytic=True, factor=1.0):
        self.period, self.analytic, self.factor = period, analytic, factor

    def plan(self, x, k):
        return Plan(y=x, keeps={"x"})

    def _from_next(self, x):
        # More than one period: differences at h, h/2, ... of a single one may agree on a slope that is nowhere.
        periods = self.period * np.array([1.0, 1.137, 1.291, 1.437, 1.619, 1.773, 1.931, 2.113])
        x = x[..., None]
        return x - periods * np.round(x.real / periods)

    def forward(self, f):
        off = self._from_next(f.x)
        f.y[...] = (np.where(off.real < 0, -off, off) if self.analytic else np.abs(off)).sum(axis=-1)

    def backward(self, f):
        f.dx[...] = self.factor * np.sign(self._from_next(f.x).real).sum(axis=-1) * f.dy


def test_what_was_done_about_kinks_is_said():
    report = check(Zigzag(2e-3), (4,))
    assert any("differences looked as close as" in note or "point was moved" in note for note in report.notes)
    assert {"complex step", "differences"} <= {row.method for row in report.rows}
    report = check(Zigzag(1e-6), (4,))
    assert any("differences cannot tell at any point" in note for note in report.notes)
    assert "differences" not in {row.method for row in report.rows}
    for period in (2e-3, 1e-6):
        with pytest.raises(GradientError, match="WRONG dx"):
            check(Zigzag(period, factor=1.001), (4,))
    # Neither method says anything, so that nothing has been shown.
    with pytest.raises(GradientError, match="no point of 4 was found where they tell anything"):
        check(Zigzag(1e-6, analytic=False), (4,))
    assert not any("kinks" in note for note in check(Tanh(), (4,)).notes)


def test_the_message_can_be_typed_in_again():
    with pytest.raises(GradientError) as error:
        check(Planted("dx"), (4,), batch=2, train=False, seed=3)
    call = str(error.value).rpartition("see it again: npgan.gradcheck.")[2]
    with pytest.raises(GradientError) as again:
        eval(call, {"check": check, "Planted": Planted})
    assert str(again.value) == str(error.value)
    assert "found" in str(error.value)
    assert "expected" in str(error.value)
    assert "allowed" in str(error.value)

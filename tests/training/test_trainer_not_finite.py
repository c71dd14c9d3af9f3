"""A run stops at the first value that is not finite, says where it was, and leaves what it had."""

import numpy as np
import pytest

import npgan
from npgan.errors import NonFiniteError
from npgan.layers import Dense, Reshape
from npgan.training.metrics import read


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator": {"lr": 1e30}}, r"step 1, D's turn: G/\d Dense: y of forward is -?(inf|nan) at \(\d, \d+\)"),
        ({"discriminator": {"lr": 1e30}}, r"step 0, G's turn: D/\d Dense: y of forward is -?(inf|nan) at \(\d, \d+\)"),
    ],
)
def test_a_learning_rate_that_explodes(train, tmp_path, settings, message, unlocked):
    with pytest.raises(NonFiniteError, match=message) as error:
        train("a", steps=9, **settings)
    path = tmp_path / "a"
    assert "its weights were not updated. The checkpoint of step 0 is untouched: go on from it" in str(error.value)
    assert f"--resume {path}" in str(error.value)
    assert read(path / "metrics.jsonl") == []
    assert unlocked(path)
    assert npgan.Run(path).step == 0
    lower = {name: {"lr": 1e-4} for name in settings}
    assert npgan.resume(path, steps=3, settings=lower, quiet=True).step == 3


class Bad(npgan.layers.Layer):
    """Passes everything on, until the batch holds a value above 2; then one of its maps makes a NaN."""

    def __init__(self, where):
        self.where = where

    def plan(self, x, k):
        return npgan.layers.Plan(y=x, keeps={"x"})

    def forward(self, f):
        f.y[...] = f.x
        if self.where == "forward" and (f.x > 2).any():
            f.y[3, 1] = np.nan

    def backward(self, f):
        if f.dx is not None:
            f.dx[...] = f.dy
            if self.where == "backward" and (f.x > 2).any():
                f.dx[2, 0] = np.inf


@pytest.mark.parametrize(
    ("where", "array"),
    [("forward", r"y of forward is nan at \(3, 1\)"), ("backward", r"dx of backward is inf at \(2, 0\)")],
)
def test_a_layer_that_is_broken(train, tmp_path, where, array):
    def networks(fit):
        return [Dense(3)], [Dense(4), Bad(where), Dense(1)]

    x = np.ones((40, 3), "float32") * 0.1
    recipe = npgan.Recipe("broken", "", "", networks, {"data": {"shuffle": False}})
    seen = {}

    def plant(step, metrics, experiment):
        seen["D"], seen["G"] = experiment.discriminator.theta.copy(), experiment.generator.theta.copy()
        if step == 3:
            with experiment.discriminator.write() as theta:
                theta[...] = 1e6
            seen["D"] = experiment.discriminator.theta.copy()
            seen["experiment"] = experiment

    message = rf"step 3, D's turn: D/1 Bad: {array}; its weights were not updated"
    with pytest.raises(NonFiniteError, match=message + r"\. The checkpoint of step 2 is untouched"):
        train("a", recipe, steps=9, source=x, callbacks=[plant])
    experiment = seen["experiment"]
    assert np.array_equal(experiment.discriminator.theta, seen["D"])
    assert np.array_equal(experiment.generator.theta, seen["G"])
    run = npgan.Run(tmp_path / "a", recipe=recipe)
    assert run.step == 2
    assert np.isfinite(run.discriminator.theta).all()


def test_what_is_not_finite_is_never_saved(train, tmp_path):
    def plant(step, metrics, experiment):
        if step == 4:
            with experiment.generator.write() as theta:
                theta[-1] = np.nan

    with pytest.raises(
        NonFiniteError, match=r"step 4: G/4/bias holds a NaN or an infinity, so this step was not saved"
    ):
        train("a", steps=9, callbacks=[plant], log={"keep": 1})
    assert npgan.Run(tmp_path / "a").step == 2

    def networks(fit):
        return [Dense(64, init=npgan.layers.Normal(1e38)), Reshape((8, 8, 1))], [npgan.layers.Flatten(), Dense(1)]

    infinite = npgan.Recipe("infinite", "", "", networks, {"generator": {"lr": 1.0}})
    with pytest.raises(NonFiniteError, match=r"step 0, D's turn: G/0 Dense: y of forward"):
        train("b", infinite)

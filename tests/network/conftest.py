from itertools import product

import numpy as np
import pytest

from npgan.layers import (
    BatchNorm,
    ConcatCondition,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    LeakyReLU,
    Parallel,
    Reshape,
    Residual,
    Skip,
    Softplus,
    Tanh,
    Upsample2d,
)
from npgan.network import Network

# Networks with everything that the planner must get right: views, fan-out, joins, conditions, saved arrays, states.
NETWORKS = {
    "mlp": ([Dense(7), Tanh(), Dense(5), Softplus(), Dense(2)], (3,), None),
    "conv": (
        [Conv2d(4, 3, padding=1), BatchNorm(), LeakyReLU(0.2), Conv2d(3, 4, stride=2, padding=1), Flatten(), Dense(2)],
        (6, 6, 2),
        None,
    ),
    "reshapes": ([Flatten(), Reshape((2, 6)), Dense(3), Tanh(), Flatten(), Reshape((3, 2))], (3, 4), None),
    "views alone": ([Flatten(), Reshape((4, 3))], (3, 4), None),
    "fan-out": (
        [
            Conv2d(3, 3, padding=1),
            Residual([Conv2d(3, 3, padding=1), Tanh()]),
            Skip([BatchNorm(), LeakyReLU()]),
            Parallel([[Conv2d(2, 1)], [Tanh()], []], join="concat"),
            Residual([Tanh(), Dense(4)], Conv2d(4, 1)),
            Parallel([Flatten(), [Flatten(), Tanh()], [Flatten(), Dropout(0.5)]], join="add"),
        ],
        (4, 4, 2),
        None,
    ),
    "labels": (
        [
            ConcatCondition(Embedding(5, 3)),
            Dense(8),
            LeakyReLU(),
            Reshape((2, 2, 2)),
            ConcatCondition([Embedding(5, 2), Dense(2)]),
            Upsample2d(2),
            Conv2d(2, 3, padding="same"),
        ],
        (4,),
        (),
    ),
    "codes": ([ConcatCondition(), Residual([Dense(7), Tanh()]), ConcatCondition(Dense(2)), Dense(3)], (4,), (3,)),
}


class Setup:
    """A network in float64, and what goes into it."""

    def __init__(self, name, batch=3, seed=0, **options):
        layers, self.input_shape, condition_shape = NETWORKS[name]
        self.network = Network(
            layers, self.input_shape, condition_shape=condition_shape, **{"dtype": "float64", "name": "N", **options}
        )
        draw = np.random.default_rng(seed)
        dtype = self.network.dtype
        with self.network.write() as theta:
            theta += 0.3 * draw.normal(size=theta.size)
        self.x = draw.normal(size=(batch, *self.input_shape)).astype(dtype)
        self.condition = None
        if condition_shape == ():
            self.condition = draw.integers(0, 5, batch)
        elif condition_shape is not None:
            self.condition = draw.normal(size=(batch, *condition_shape)).astype(dtype)
        self.dy = draw.normal(size=(batch, *self.network.output_shape)).astype(dtype)
        self.batch = batch
        self.start = draw.normal(size=self.network.size).astype(dtype)
        self.real_condition = condition_shape is not None and condition_shape != ()

    def wishes(self):
        """Return every combination of what backward can be asked for."""
        conditions = (False, True) if self.real_condition else (False,)
        return product((None, False, True), (False, True), conditions)

    def run(self, p, accumulate=False, dx=True, dcondition=False):
        """Return y, dx, dtheta and dcondition, as copies; `accumulate` None is without dtheta."""
        y = p.forward(self.x, self.condition, step=3, update_stats=False).copy()
        dtheta = None
        if accumulate is not None:
            dtheta = self.start.copy() if accumulate else np.full_like(self.start, np.nan)
        found = p.backward(self.dy, dtheta=dtheta, accumulate=bool(accumulate), dx=dx, dcondition=dcondition)
        assert (found is not None) == dx
        return y, None if found is None else found.copy(), dtheta, p.dcondition.copy() if dcondition else None


def poison(p):
    """Fill the memory of a Pass that has run with NaN (-1 where there are integers)."""
    p.arena.region[...] = 0xFF


@pytest.fixture(params=list(NETWORKS))
def setup(request):
    return Setup(request.param)


@pytest.fixture
def make():
    return Setup


@pytest.fixture(name="poison", scope="session")
def give_poison():
    return poison

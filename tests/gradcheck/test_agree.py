"""Versions of a function against each other."""

import numpy as np
import pytest

from npgan.gradcheck import check
from npgan.gradcheck.agree import agree
from npgan.gradcheck.checking import place
from npgan.gradcheck.examine import Kinked
from npgan.gradcheck.functions import NetworkFunction
from npgan.layers import BatchNorm, Conv2d, Dense, ReLU, Softmax, Tanh
from npgan.network import Network


def functions(layers, shape, dtype="float32", batch=3):
    f = NetworkFunction(Network(layers, shape, dtype=dtype), batch)
    return f, f.twin("reference", "float64")


@pytest.mark.parametrize("seed", range(5))
def test_cancellation_is_no_disagreement(seed):
    # The gradient of a bias before batch norm is 0, and in float32 it is what rounding leaves.
    f, reference = functions([Conv2d(3, 3), BatchNorm(), Tanh(), Dense(2)], (5, 5, 1))
    rows = list(agree(f, reference, *place(f, seed, 0), seed))
    assert {row.map for row in rows} == {"forward", "backward", "rforward", "rbackward", "HVP"}
    assert all(row.ok for row in rows)
    assert all(row.tolerance / row.scale < 1e-4 for row in rows)


def test_a_small_mistake_in_float32_is_found():
    f, reference = functions([Dense(4), Tanh(), Dense(2)], (6,))
    right = f.rbackward
    f.rbackward = lambda *args: {k: a * np.float32(1 + 1e-4) for k, a in right(*args).items()}
    wrong = {row.map for row in agree(f, reference, *place(f, 0, 0), 0) if not row.ok}
    assert wrong == {"rbackward", "HVP"}


def test_inputs_at_a_kink_are_refused():
    f, reference = functions([ReLU()], (4,))
    inputs, dy = place(f, 0, 0)
    inputs["x"][0, 0] = 0.0  # 0 has no rounding error, and stays on its side
    assert all(row.ok for row in agree(f, reference, inputs, dy, 0))
    f, reference = functions([Dense(4), ReLU()], (2,))
    inputs, dy = place(f, 0, 0)
    weights = inputs["0/weight"]
    inputs["0/bias"][:] = -(inputs["x"][0] @ weights).astype(np.float32)  # the first sample lies on every kink
    with pytest.raises(Kinked):
        list(agree(f, reference, inputs, dy, 0))


def test_a_function_that_is_constant():
    assert check(Softmax(), (1,), batch=2).ok

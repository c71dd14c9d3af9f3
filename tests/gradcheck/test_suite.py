"""The suite covers everything that is public, passes, and says what is wrong where it does not."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.gradcheck.cases import layer_cases, public_layers
from npgan.gradcheck.checking import check_function, place
from npgan.gradcheck.maps import Function, direction
from npgan.gradcheck.subjects import select, subjects
from npgan.gradcheck.suite import run, summary
from npgan.losses import LOSSES
from npgan.penalties import PENALTIES
from npgan.recipes import RECIPES

ALL = subjects()
# One of each kind, the quickest; `npgan gradcheck` runs all, and so does the slow test here.
SAMPLE = [
    "Tanh",
    "BatchNorm",
    "MaxPool2d",
    "Embedding",
    "Residual",
    "ConcatCondition",
    "Reshape",
    "hinge",
    "r1",
    "ring",
]


def test_everything_public_is_checked():
    groups = {subject.group: subject.kind for subject in ALL}
    missing = {kind.__name__ for kind in public_layers()} - set(groups)
    assert not missing, f"no case in npgan/gradcheck/cases.py for {missing}"
    for table, kind in ((LOSSES, "loss"), (PENALTIES, "penalty"), (RECIPES, "network")):
        there = {subject.group for subject in ALL if subject.kind == kind}
        assert there == set(table)
    assert len({subject.name for subject in ALL}) == len(ALL)


def test_every_case_is_of_its_class():
    for kind, cases in layer_cases().items():
        assert cases
        assert all(type(case.layer) is kind for case in cases)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_agrees(name):
    found = [line for lines, _ in run(select([name])) for line in lines]
    assert found
    assert not [failure for line in found for failure in line.failures()]
    limits = {"differences": 1e-9, "reference": 1e-13}
    for order, method, error, tolerance in summary(found):
        limit = 1e-7 if (order, method) == ("second order", "differences") else limits.get(method, 1e-13)
        assert error < limit
        assert tolerance < 10 * limit
    assert all(line.seconds >= 0 for line in found)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_everything_agrees(dtype, seed):
    found = [line for lines, _ in run(ALL, dtype=dtype, seed=seed) for line in lines]
    assert not [failure for line in found for failure in line.failures()]


@pytest.mark.parametrize("name", ["Dense", "Softmax", "LayerNorm", "minimax", "wgan-gp"])
def test_float32_against_float64(name):
    found = [line for lines, _ in run(select([name]), dtype="float32", seed=4) for line in lines]
    assert not [failure for line in found for failure in line.failures()]
    totals = summary(found)
    assert {method for _, method, _, _ in totals} == {"reference"}
    assert 1e-9 < max(error for _, _, error, _ in totals) < 1e-5  # computed in float32, and well
    assert all(tolerance < 1e-4 for _, _, _, tolerance in totals)


class Off(Function):
    """A function with a gradient that is off by a factor, in float32's rounding or as a mistake."""

    variables = movable = ("x",)
    output_shape = ()
    second_order = False

    def __init__(self, dtype, factor=1.0):
        self.dtype, self.factor = np.dtype(dtype), factor

    def twin(self, backend, dtype):
        return Off(dtype)

    def draw(self, draw):
        return {"x": draw.normal(size=5)}

    def forward(self, inputs):
        x = inputs["x"].astype(self.dtype)
        return np.asarray((x * x).sum())

    def backward(self, inputs, dy):
        return {"x": (self.factor * 2 * dy * inputs["x"]).astype(self.dtype)}


def test_a_float32_gradient_that_is_off_by_a_little_is_found():
    assert all(row.ok for row in check_function(Off("float32")).rows)
    rows = check_function(Off("float32", 1.0 + 1e-4)).rows
    assert [row.what for row in rows if not row.ok] == ["dx"]


def test_a_subject_that_raises_is_wrong_and_the_others_go_on():
    def broken(backend, dtype, seed):
        raise ValueError("no such thing")

    first, second = select(["Tanh"])[0], select(["hinge"])[0]
    found = [lines for lines, _ in run([replace(first, make=broken), second])]
    assert "ValueError: no such thing" in found[0][0].failures()[0]
    assert "npgan gradcheck Tanh --backend cpu --dtype float64 --seed 0" in found[0][0].failures()[0]
    assert all(line.ok for line in found[1])


def test_selecting():
    assert len(select([])) == len(ALL)
    assert {subject.group for subject in select(["dense", "HINGE"])} == {"Dense", "hinge"}
    assert {subject.kind for subject in select(["wgan-gp"])} == {"penalty", "network"}
    with pytest.raises(ConfigError, match="called 'BatchNrm'; did you mean BatchNorm"):
        select(["BatchNrm"])


def test_points_and_directions_can_be_drawn_again():
    f = select(["Dense"])[0].make("reference", "float64", 0)
    (inputs, dy), (again, dy_again) = place(f, 3, 0), place(f, 3, 0)
    np.testing.assert_array_equal(dy, dy_again)
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, again[name])
        np.testing.assert_array_equal(array, array.astype(np.float32))  # float32 has them too
    u = direction((40, 3), (0, 1))
    np.testing.assert_array_equal(u, direction((40, 3), (0, 1)))
    assert abs(np.sqrt((u * u).sum()) - 1) < 1e-12
    assert np.abs(u).min() > 0.3 * np.abs(u).max()  # no tiny components


def test_it_needs_numpy_alone():
    heavy = ["numba", "scipy", "typer", "rich", "cupy", "matplotlib", "sklearn", "PIL"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({heavy}))  # importing one of these raises
import npgan.gradcheck
from npgan.gradcheck.subjects import select
from npgan.gradcheck.suite import run
assert all(line.ok for lines, _ in run(select(["Tanh", "r1"])[:2], backend="reference") for line in lines)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)

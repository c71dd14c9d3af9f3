"""Every contestant of every suite computes what plain NumPy does; the frameworks too, where they are installed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.backend.cpu import NumpyBackend
from npgan.bench import suites
from npgan.bench.algorithms import algorithms
from npgan.bench.contest import EXACT, ROUNDED, difference, where
from npgan.bench.results import OURS, REFERENCE
from npgan.errors import ConfigError

CPU = get_backend("cpu")


def works(suite, words=()):
    return suites.select([suite], CPU, [], words)


def error(work, name, count=2):
    makers = work.make("float64", True)
    ours, other = (
        [np.array(a) for _ in range(count) for a in each.result()] for each in (makers[OURS](), makers[name]())
    )
    return difference(other, ours)


def checked(suite, name):
    left = [work for work in works(suite) if "dcgan-64" not in work.name and name in work.make("float64", True)]
    assert left
    for work in left:
        assert error(work, name) < EXACT, work
        for each in (work.make("float32", False)[key]() for key in (OURS, name)):
            each.result()
            each.run()


@pytest.mark.parametrize("suite", ["steps", "layers", "products"])
def test_reference(tiny, suite):
    checked(suite, REFERENCE)


@pytest.mark.peer
@pytest.mark.parametrize("suite", ["steps", "layers", "products"])
@pytest.mark.parametrize("name", ["PyTorch", "NHWC"])
def test_pytorch(tiny, suite, name):
    checked(suite, name)


@pytest.mark.peer
@pytest.mark.parametrize(("suite", "word"), [("steps", "ring"), ("steps", "mlp wgan-gp")])
def test_pytorch_in_bfloat16_computes_the_same_roughly(tiny, suite, word):
    class Rounded(NumpyBackend):
        compute = "bf16"

    (work,) = suites.select([suite], Rounded(), [16], [word])
    makers = work.make("float32", False)
    ours, other = makers[OURS]().result(), makers["PyTorch"]().result()
    assert 1e-4 < difference(other, ours, 2) < ROUNDED["bf16"]


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_compiled(tiny):
    (work,) = works("steps", ["ring"])
    assert error(work, "compile") < EXACT


@pytest.mark.parametrize("suite", ["steps", "products"])
def test_jax(tiny, suite):
    pytest.importorskip("jax")
    checked(suite, "JAX")


def test_a_wrong_derivative_is_seen_in_a_step(tiny, monkeypatch):
    from npgan.layers import LeakyReLU

    (work,) = works("steps", ["ring"])
    assert error(work, REFERENCE, count=1) < EXACT
    right = LeakyReLU.backward

    def wrong(self, f):
        right(self, f)
        if f.dx is not None and f.k.version == REFERENCE:  # the fast one may not ask the layer
            f.dx[0] *= 1.001

    monkeypatch.setattr(LeakyReLU, "backward", wrong)
    assert error(work, REFERENCE, count=1) > EXACT


def test_a_wrong_product_is_seen(tiny, monkeypatch):
    from npgan.game import BatchGame

    right = BatchGame.jvp

    def wrong(self, u):
        found = right(self, u)
        return found if self.backend.name == REFERENCE else found * (1 + 1e-6)

    by_name = {work.name: work for work in works("products", ["game: ring"])}
    monkeypatch.setattr(BatchGame, "jvp", wrong)
    errors = {name: error(work, REFERENCE) for name, work in by_name.items()}
    assert {name for name, value in errors.items() if value > EXACT} == {"ring Ju, batch 4", "ring Ju anew, batch 4"}


@pytest.mark.parametrize("what", ["Ju", "JTu"])
def test_anew_is_at_a_point_without_a_past(tiny, monkeypatch, what):
    from npgan.game import Game

    generated = []
    right = Game.generate
    monkeypatch.setattr(Game, "generate", lambda self, *given, **how: generated.append(1) or right(self, *given, **how))
    counts = []
    for name in (f"{what}, ", f"{what} anew"):
        (work,) = works("products", [f"game: ring {name}"])
        ours = work.make("float64", True)[OURS]()
        generated.clear()
        for _ in range(3):
            ours.run()
        counts.append(len(generated))
    assert counts == [1, 3]


def test_the_gradient_that_products_are_counted_in_is_the_field(tiny):
    left = works("products", ["game: "])
    assert left
    for work in left:
        plain = work.gradient("float64")
        field = next(each for each in left if each.name == re.sub("J.*,", "gradient,", work.name))
        other = field.make("float64", False)[OURS]()
        assert difference(plain.result(), other.result()) < EXACT


def test_names_are_unique():
    for suite in suites.SUITES:
        keys = [(work.suite, work.group, work.name) for work in works(suite)]
        assert len(keys) == len(set(keys))
        assert all(suite == key[0] for key in keys)


def test_every_strided_layer_of_dcgan_64_is_there():
    names = [work.name for work in works("layers", ["dcgan-64"])]
    for layer in ("D/2 conv 4/2, 64 to 128 at 32", "G/10 tconv 4/2, 128 to 64 at 16", "D/0 conv 4/2, 3 to 64 at 64"):
        for what in ("forward", "data", "weight", "backward"):
            assert f"{layer}, {what}" in names


def test_select():
    assert [work.name for work in works("steps", ["RING, batch 64", "mlp-1024"])] == [
        "ring, batch 64",
        "mlp-1024, batch 128",
    ]
    assert [work.name for work in works("steps", ["critic: mlp r1"])] == ["mlp r1, batch 256"]
    batches = suites.select(["steps"], CPU, [3, 5], ["mlp-1024"])
    assert [work.name for work in batches] == ["mlp-1024, batch 3", "mlp-1024, batch 5"]
    assert {work.suite for work in suites.select(["all"], CPU, [], [])} == set(suites.SUITES)
    assert suites.select(["kernels"], CPU, [], ["anything"]) == []
    with pytest.raises(ConfigError, match="did you mean steps"):
        suites.select(["step"], CPU, [], [])
    with pytest.raises(ConfigError, match="ring, batch 64"):
        suites.select(["steps"], CPU, [], ["nothing has this"])


class Gpu:
    name, compute = "gpu", "tf32"


def test_a_gpu_has_larger_batches_and_plain_numpy_for_checks_alone():
    assert {work.suite for work in suites.select(["all"], Gpu(), [], [])} == set(suites.SUITES)
    (work,) = suites.select(["steps"], Gpu(), [], ["dcgan-64, batch 128"])
    assert REFERENCE in work.make("float64", True)
    assert REFERENCE not in work.make("float32", False)
    assert where(Gpu()) == "gpu:tf32"
    assert where(CPU) == "cpu"


def test_algorithms():
    found = {each["layer"]: each for each in algorithms(CPU, [])}
    assert "winograd" in found["D/2 conv 4/2, 64 to 128 at 32"]["algorithm"]
    assert "winograd" in found["G/10 tconv 4/2, 128 to 64 at 16"]["algorithm"]
    assert found["G/2 dense 1024 to 1024"]["algorithm"] == "matrix product"
    assert found["G/2 dense 128 to 128"]["algorithm"] == "stack"
    assert all(each["algorithm"] and each["why"] for each in found.values())
    assert {each["algorithm"] for each in algorithms(get_backend("reference"), [])} == {"matrix product", "reference"}


def test_algorithms_on_a_gpu(cupy, monkeypatch):
    monkeypatch.setenv("NPGAN_CONV", "own")
    found = {each["layer"]: each for each in algorithms(get_backend("gpu:bf16"), [])}
    last, inner = found["G/13 tconv 4/2, 64 to 3 at 32"], found["D/2 conv 4/2, 64 to 128 at 32"]
    assert last["algorithm"] == inner["algorithm"] == "implicit product, bf16"
    assert "data to 3 channels, without tiles" in last["why"]
    assert "forward tiles 128×128" in inner["why"]
    assert {each["algorithm"] for each in found.values()} <= {"implicit product, bf16", "matrix product", "stack"}

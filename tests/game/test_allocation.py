"""A training step allocates no array: neither NumPy, nor compiled code, nor Python in another way."""

import json
import os
import subprocess
import sys

import pytest

# Large batches of tiny networks: then one float32 a sample, 7168 bytes, is more than all of a step's small objects.
BATCH, LIMIT = 1792, 6500
CODE = """
import json, sys, tracemalloc

from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python

cpu_target.target_context  # numba's own memory is set up
_nrt_python.memsys_use_cpython_allocator()  # so that tracemalloc sees what compiled code allocates

import numba
import numpy as np

from npgan.recipes import get_recipe
from npgan.training import trainer
from npgan.training.experiment import Experiment


def extra(run):
    "Return the bytes that are allocated at one time in a run, and those that are left of it."
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    run()
    after, peak = tracemalloc.get_traced_memory()
    return peak - before, after - before


@numba.njit
def compiled(n):
    return np.empty(n, np.float32).size


def steps(name, settings, recorded):
    config = trainer.resolve(get_recipe(name), settings)
    experiment = Experiment(config, get_recipe(name))
    batch = experiment._data(0)
    step = experiment.steps.step if recorded else experiment.rule.step
    run = lambda first, count: [step(number, lambda turn: batch) for number in range(first, first + count)]
    run(0, 3)
    tracemalloc.start()
    try:
        run(3, 2)
        single = [extra(lambda: run(number, 1)) for number in range(5, 13)]
        tens = [extra(lambda: run(step, 10)) for step in (13, 23)]
    finally:
        tracemalloc.stop()
        experiment.close()
    return {"peak": min(peak for peak, _ in single), "left": min(left for _, left in tens)}


cases = json.loads(sys.argv[1])
found = {way: [steps(*case, way == "recorded") for case in cases] for way in ("written", "recorded")}
compiled(1)
tracemalloc.start()
found["compiled"] = extra(lambda: compiled(int(sys.argv[2]) // 4))[0]
found["numpy"] = extra(lambda: np.empty(int(sys.argv[2]), np.uint8) is None)[0]
print(json.dumps(found))
"""
DIGITS = {"batch": BATCH, "data": {"name": "digits", "prefetch": 0}, "model": {"channels": 4}}
POINTS = {"batch": BATCH, "data": {"name": "ring-8", "prefetch": 0}}
DENSE = {**DIGITS, "model": {"width": 16}}
LIMITS = {
    "generator": {"clip_norm": 0.1, "optimizer": "rmsprop"},
    "discriminator": {"clip_value": 0.1, "clip_norm": 0.1, "optimizer": "sgd"},
}
CASES = {
    "ring": ("ring", POINTS),
    "mlp": ("mlp", DENSE),
    "dcgan": ("dcgan", DIGITS),
    "dcgan-upsample": ("dcgan-upsample", DIGITS),
    "cgan": ("cgan", DIGITS),
    "wgan-gp": ("wgan-gp", {**DIGITS, "n_critic": 1}),
    "dcgan-r1": ("dcgan-r1", DIGITS),
    "hinge, dragan, clipping": ("ring", {**POINTS, **LIMITS, "loss": "hinge", "penalties": [{"name": "dragan"}]}),
    "least squares, a norm": (
        "ring",
        {**POINTS, "loss": "least-squares", "penalties": [{"name": "gradient-norm", "norm": 3.0}]},
    ),
    "weights of classes, new noise, average": (
        "mlp",
        {**DENSE, "fresh_noise": True, "ema": 0.9, "loss_options": {"class_weights": [1.0] * 10}},
    ),
    "uniform latents, clipped weights": (
        "ring",
        {**POINTS, "loss": "wasserstein", "latent": {"distribution": "uniform"}},
    ),
}


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(list(CASES.values())), str(LIMIT)],
        env={**os.environ, "NPGAN_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_the_measure_would_see_an_array(found):
    assert found["numpy"] >= LIMIT
    assert found["compiled"] >= LIMIT


@pytest.mark.parametrize("way", ["written", "recorded"])
@pytest.mark.parametrize("case", CASES)
def test_a_step_allocates_no_array(found, case, way):
    steps = found[way][list(CASES).index(case)]
    assert steps["peak"] < LIMIT
    # Of ten steps: Python's small objects are replaced by ones that tracemalloc has seen, an array each would be 70 kB.
    assert steps["left"] < 4 * LIMIT

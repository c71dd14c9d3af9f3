"""The suites ``memory`` and ``startup``, what only a fresh process can tell, and ``epoch``, what only a run can."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from npgan.backend.base import Backend
from npgan.bench.contest import where
from npgan.bench.gans import chosen
from npgan.bench.probe import ProbeError, ask
from npgan.bench.results import NHWC, OURS, TORCH, Row, Sample

_RECIPES = ("ring", "dcgan")
_PICTURES, _EPOCHS, _EPOCH_RECIPE = 60_000, 3, "dcgan"
_WARM = 4  # steps until all is compiled, made and recorded
_FRESH = 5  # rounds at most, of processes that take seconds


@dataclass(frozen=True)
class Errand:
    """What is measured in a way of its own, most of it in fresh processes.

    Attributes
    ----------
    suite, group, name : str
    measure : callable
        ``measure(rounds, peers)`` returns the row.
    """

    suite: str
    group: str
    name: str
    measure: Callable[[int, bool], Row]


def memory(backend: Backend, batches: Sequence[int]) -> list[Errand]:
    """Return the works of the suite ``memory``."""
    gan = "dcgan-64"
    names = {batch: f"{gan} step, batch {batch}" for batch in chosen((64,), batches)}
    given = where(backend)
    return [Errand("memory", "", name, partial(_memory, gan, batch, name, given)) for batch, name in names.items()]


def _memory(gan: str, batch: int, name: str, backend: str, rounds: int, peers: bool) -> Row:
    row = Row("memory", "", name, unit="bytes")
    for contestant in (OURS, TORCH, NHWC) if peers else (OURS,):
        try:
            # What an allocator takes differs from process to process.
            found = tuple(
                float(ask("memory", contestant, gan, str(batch), backend)) for _ in range(min(rounds, _FRESH))
            )
        except ProbeError as error:
            if contestant == OURS:
                raise
            row.left_out[contestant] = str(error)
            continue
        row.samples[contestant] = Sample(found)
    return row


def startup(backend: Backend, batches: Sequence[int]) -> list[Errand]:
    """Return the works of the suite ``startup``."""
    found = [Errand("startup", "", "import npgan", _import)]
    for recipe in _RECIPES:
        name = f"{recipe}, to the end of the first step"
        start = partial(_startup, recipe, backend=where(backend))
        found += [Errand("startup", "", f"{name}, {how}", partial(start, how)) for how in ("cold", "warm")]
    return found


def _import(rounds: int, peers: bool) -> Row:
    values = tuple(float(ask("import")) for _ in range(rounds))
    return Row("startup", "", "import npgan", samples={OURS: Sample(values)})


def _startup(recipe: str, how: str, rounds: int, peers: bool, *, backend: str) -> Row:
    with TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "NPGAN_CACHE_DIR": str(Path(folder) / "cache"),
            "CUPY_CACHE_DIR": str(Path(folder) / "cupy"),
        }
        values = []
        # With an empty cache everything is compiled, once: that is the cold start. The others find it there.
        for i in range(1 if how == "cold" else 1 + min(rounds, _FRESH)):
            out = str(Path(folder) / f"run-{i}")
            values.append(float(ask("startup", recipe, out, repr(time.time()), backend, environment=environment)))
    name = f"{recipe}, to the end of the first step, {how}"
    return Row("startup", "", name, samples={OURS: Sample(tuple(values[how == "warm" :]))})


def epoch(backend: Backend, batches: Sequence[int]) -> list[Errand]:
    """Return the works of the suite ``epoch``: the run's own loop over a set of MNIST's size, with its data and log."""
    return [
        Errand(
            "epoch",
            "",
            f"{_EPOCH_RECIPE}, {_PICTURES:,} pictures of 28 x 28, batch {batch}",
            partial(_epoch, backend, batch),
        )
        for batch in chosen((128,), batches)
    ]


def _epoch(backend: Backend, batch: int, rounds: int, peers: bool) -> Row:
    from npgan.data import ArrayDataset
    from npgan.recipes import get_recipe
    from npgan.training.experiment import Experiment
    from npgan.training.trainer import resolve

    # What is in them makes no difference to the speed.
    pictures = np.random.default_rng(0).integers(0, 256, (_PICTURES, 28, 28, 1)).astype(np.uint8)
    recipe = get_recipe(_EPOCH_RECIPE)
    config = resolve(recipe, {"batch": batch, "backend": where(backend)})
    experiment = Experiment(config, recipe, ArrayDataset(pictures, name="pictures"))
    steps, every = experiment.loader.batches_per_epoch, config.log.every
    done, seconds = 0, []
    for length in (_WARM, *[steps] * min(rounds, _EPOCHS)):  # the first for what is made once
        begun = time.perf_counter()
        for step in range(done, done + length):
            experiment.start(step)
            if step % every == 0 or experiment.steps.reason is not None:
                experiment.steps.read()
            experiment.steps.known()
        experiment.steps.known(wait=True)
        seconds.append(time.perf_counter() - begun)
        done += length
    experiment.close()
    name = f"{_EPOCH_RECIPE}, {_PICTURES:,} pictures of 28 x 28, batch {batch}"
    return Row("epoch", "", name, samples={OURS: Sample(tuple(seconds[1:]))})

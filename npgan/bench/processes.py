"""The suites ``memory`` and ``startup``: what only a fresh process can tell."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from npgan.backend.base import Backend
from npgan.bench.gans import chosen
from npgan.bench.probe import ProbeError, ask
from npgan.bench.results import NHWC, OURS, TORCH, Row, Sample

_RECIPES = ("ring", "dcgan")
_FRESH = 5  # rounds at most, of processes that take seconds


@dataclass(frozen=True)
class Errand:
    """What is measured in fresh processes.

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
    return [Errand("memory", "", name, partial(_memory, gan, batch, name)) for batch, name in names.items()]


def _memory(gan: str, batch: int, name: str, rounds: int, peers: bool) -> Row:
    row = Row("memory", "", name, unit="bytes")
    for contestant in (OURS, TORCH, NHWC) if peers else (OURS,):
        try:
            # What an allocator takes differs from process to process.
            found = tuple(float(ask("memory", contestant, gan, str(batch))) for _ in range(min(rounds, _FRESH)))
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
        found += [Errand("startup", "", f"{name}, {how}", partial(_startup, recipe, how)) for how in ("cold", "warm")]
    return found


def _import(rounds: int, peers: bool) -> Row:
    values = tuple(float(ask("import")) for _ in range(rounds))
    return Row("startup", "", "import npgan", samples={OURS: Sample(values)})


def _startup(recipe: str, how: str, rounds: int, peers: bool) -> Row:
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "NPGAN_CACHE_DIR": str(Path(folder) / "cache")}
        values = []
        # With an empty cache everything is compiled, once: that is the cold start. The others find it there.
        for i in range(1 if how == "cold" else 1 + min(rounds, _FRESH)):
            out = str(Path(folder) / f"run-{i}")
            values.append(float(ask("startup", recipe, out, repr(time.time()), environment=environment)))
    name = f"{recipe}, to the end of the first step, {how}"
    return Row("startup", "", name, samples={OURS: Sample(tuple(values[how == "warm" :]))})

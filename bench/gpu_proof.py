"""The whole proof on a machine with a GPU, by one command: ``python bench/gpu_proof.py``.

What npgan claims of a GPU is checked and measured there: gradient checks, the tests that need a device, whole steps
beside PyTorch in TF32 and bfloat16, layers, memory, start-up, an epoch. Each part is a command of npgan's own, run in a
fresh process; what it prints is kept beside what it measured. It takes about half an hour, goes on after a part that
fails, and ends with the goals and what was found. Exit code 1 where a part failed or a goal was missed.

Needs CuPy (``pip install 'npgan[gpu-cuda13]'`` or ``gpu-cuda12``) and, for the comparisons, PyTorch with CUDA; for the
tests pytest and hypothesis.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NPGAN = [sys.executable, "-m", "npgan"]


@dataclass(frozen=True)
class Part:
    """A command, and the most seconds that it may take where that is a goal."""

    name: str
    command: list[str]
    most: float | None = None


@dataclass(frozen=True)
class Goal:
    """What a row of a report must show.

    Attributes
    ----------
    report, row : str
        The part that measured it, and what the row's name has in it.
    most : float, optional
        Seconds.
    ahead : tuple of (contestant, factor)
        How many times as long as npgan's its time must be at the least.
    """

    report: str
    row: str
    most: float | None = None
    ahead: tuple[tuple[str, float], ...] = ()


EAGER, NHWC, COMPILED = "PyTorch", "NHWC", "compile"
DCGAN = ((NHWC, 1.5), (COMPILED, 1.1))
GOALS = [
    Goal("steps-tf32", "ring, batch 256", 60e-6, ((EAGER, 10.0), (COMPILED, 2.0))),
    Goal("steps-tf32", "dcgan-64, batch 128", None, DCGAN),
    Goal("steps-bf16", "dcgan-64, batch 128", None, DCGAN),
    Goal("steps-tf32", "dcgan-28, batch 64", None, ((EAGER, 3.0), (NHWC, 3.0))),
    Goal("steps-tf32", "mlp wgan-gp, batch 256", None, ((EAGER, 2.0),)),
    Goal("steps-tf32", "dcgan-64 layer norm wgan-gp, batch 64", None, ((EAGER, 2.0), (NHWC, 2.0))),
    Goal("epoch-tf32", "28 x 28", 1.0),
]
_STEPS = ["ring, batch 256", "dcgan-28", "dcgan-64", "critic: mlp wgan-gp"]


def parts(folder: Path, *, quick: bool) -> list[Part]:
    """Return what is run, in order."""

    def bench(name: str, backend: str, suites: list[str], words: list[str], *more: str) -> Part:
        chosen = [argument for word in words for argument in ("-k", word)]
        options = ["--backend", backend, "--json", str(folder / f"{name}.json"), *chosen, *more]
        return Part(name, [*NPGAN, "bench", *suites, *options])

    found = [
        Part("info", [*NPGAN, "info"]),
        Part("gradcheck", [*NPGAN, "gradcheck", "--backend", "gpu"], 300.0),
        Part("tests", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu or device"]),
    ]
    if quick:
        return [
            *found[:1],
            bench("steps-tf32", "gpu:tf32", ["steps"], ["ring, batch 64"], "--rounds", "1", "--no-peers"),
        ]
    rounds = "--rounds", "7"
    tensor_cores = ("tf32", "bf16")
    found += [bench(f"steps-{each}", f"gpu:{each}", ["steps"], _STEPS, *rounds) for each in tensor_cores]
    found.append(bench("steps-float32", "gpu", ["steps"], ["ring, batch 256", "dcgan-28, batch 64"], *rounds))
    found.append(bench("epoch-tf32", "gpu:tf32", ["epoch"], [], "--rounds", "3"))
    layers = ["dcgan-64, batch 64"]
    found += [bench(f"layers-{each}", f"gpu:{each}", ["layers"], layers, *rounds) for each in tensor_cores]
    found.append(bench("products", "gpu:tf32", ["products"], [], "--rounds", "5"))
    found.append(bench("memory", "gpu:tf32", ["memory"], [], "--batch", "128", "--rounds", "2"))
    found.append(bench("startup", "gpu", ["startup"], [], "--rounds", "3"))
    found.append(bench("kernels", "gpu:tf32", ["kernels"], []))
    return found


def run(part: Part, folder: Path) -> str | None:
    """Run a part; return what is wrong, or None. What it prints goes to the screen's end and into a file."""
    # JAX takes most of a GPU's memory when it is imported, unless it is told not to.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    begun = time.monotonic()
    with (folder / f"{part.name}.txt").open("w", encoding="utf-8") as log:
        log.write(f"$ {' '.join(part.command)}\n")
        log.flush()
        done = subprocess.run(
            part.command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False
        )
        seconds = time.monotonic() - begun
        log.write(f"exit code {done.returncode}, {seconds:.1f} s\n")
    print(f"{part.name}: exit code {done.returncode}, {seconds:.1f} s", flush=True)
    if done.returncode:
        return f"exit code {done.returncode}; see {part.name}.txt"
    if part.most is not None and seconds > part.most:
        return f"took {seconds:.0f} s, and {part.most:.0f} are allowed"
    return None


def judge(goal: Goal, folder: Path) -> tuple[str, bool]:
    """Return what was found of a goal in a line, and whether it was reached."""
    path = folder / f"{goal.report}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    row = next((each for each in rows if goal.row in each["name"] and "npgan" in each["samples"]), None)
    if row is None:
        return "was not measured", False
    seconds = row["samples"]["npgan"]["median"]
    texts, reached = [f"{seconds * 1e6:.0f} us"], True
    if goal.most is not None:
        reached &= seconds <= goal.most
        texts[0] += f" (at most {goal.most * 1e6:.0f})"
    for name, factor in goal.ahead:
        ratio = row["ratios"].get(name)
        reached &= ratio is not None and ratio >= factor
        texts.append(f"{name} takes {'?' if ratio is None else f'{ratio:.2f}'}x (at least {factor:g}x)")
    return ", ".join(texts), reached


def report(folder: Path, problems: dict[str, str | None]) -> bool:
    """Print and write the goals and what was found; return whether all is well."""
    lines, well = [], not any(problems.values())
    for name, problem in problems.items():
        lines.append(f"{'FAILED ' if problem else 'ok     '} {name}{f': {problem}' if problem else ''}")
    for goal in GOALS:
        found, reached = judge(goal, folder)
        well &= reached
        lines.append(f"{'reached' if reached else 'MISSED '} {goal.report}, {goal.row}: {found}")
    text = "\n".join(lines) + "\n"
    (folder / "summary.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    return well


def main() -> int:
    """Run all parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="folder for the results; by default bench/results/DATE-gpu")
    parser.add_argument("--quick", action="store_true", help="a minute, to see that all is there; misses every goal")
    given = parser.parse_args()
    folder = (given.out or ROOT / "bench" / "results" / f"{date.today():%Y-%m}-gpu").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    problems = {part.name: run(part, folder) for part in parts(folder, quick=given.quick)}
    return 0 if report(folder, problems) else 1


if __name__ == "__main__":
    sys.exit(main())

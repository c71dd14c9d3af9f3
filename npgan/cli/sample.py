"""``npgan sample``: draw from the generator of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npgan.cli.compiling import compilation_announced
from npgan.cli.options import COMPUTING, BackendName, Debug, Json, Quiet, Threads
from npgan.cli.output import say, say_json, shape_text
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from npgan.training.run import Run

_WHAT, _WHERE, _WALK = "What to draw", "Where it is written", "Interpolation"


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, as npgan train makes it.")],
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            "-n",
            min=1,
            metavar="N",
            help="How many samples, 1 or more. Default: 64; about 10 of each class; 2,500 points in the plane; 1,000 "
            "rows of a table; 8 walks with --interpolate.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="S",
            help="Of the latents; 0 or more. Default: the run's, so that these are the samples of its own pictures.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="K",
            help="Only this class, by name or number from 0, of a run with classes (cgan). Default: all of them.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    interpolate: Annotated[
        bool,
        typer.Option(
            "--interpolate",
            metavar="",
            help="Walk from latent to latent: each walk a row of a .png, or all of them moving in a .gif.",
            rich_help_panel=_WALK,
        ),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Samples on each walk, ends included; 2 or more. Default: 10, or 30 in a .gif.",
            show_default=False,
            rich_help_panel=_WALK,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DIR",
            help=".png: a grid, or a scatter plot of points; .npz: the numbers, x and labels, as the generator makes "
            "them; .csv: points or rows, in the units of the table; .gif: an interpolation; a folder: single PNGs, "
            "in a sub-folder for each class. Default: a new file in the run's folder.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Overwrite what is there.", rich_help_panel=_WHERE)
    ] = False,
    backend: Annotated[
        BackendName | None,
        typer.Option(
            help="Where to compute: cpu or gpu. Default: where the run was trained.",
            show_default=False,
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw samples from a trained generator: pictures, numbers, or walks between latents."""
    from npgan.cli import drawing
    from npgan.training.run import Run

    if steps is not None and not interpolate:
        raise ConfigError("--steps is the length of the walks of --interpolate; give both, or leave it out")
    # Before anything is computed: is the place free, and can it be written in this format?
    explicit = None if out is None else drawing.Target.of(out, force)
    opened = Run(run, backend=None if backend is None else backend.value)
    for warning in opened.warnings:
        say(f"note: {warning}", error=True)
    target = explicit or drawing.default_target(opened, interpolate)
    drawing.check(opened, target, interpolate)
    index = None if label is None else class_index(opened, label)
    on_cpu = (opened.config.backend if backend is None else backend) == "cpu"
    with compilation_announced(quiet=quiet or not on_cpu, error=as_json):
        if interpolate:
            count, length = n or 8, steps or (30 if target.kind == ".gif" else 10)
            x, labels = drawing.walks(opened, count, length, seed, index)
        else:
            count, length = n or drawing.default_count(opened, index), None
            x, labels = drawing.samples(opened, count, seed, index, rows=target.kind == ".png")
    drawing.write(opened, target, x, labels, interpolate)
    if as_json:
        say_json(_answer(opened, target.path, x.shape, labels is not None, seed))
    elif not quiet:
        what = f"{count} walks of {length} samples" if interpolate else f"{count:,} sample{'s' if count > 1 else ''}"
        shape = shape_text(opened.facts.sample_shape)
        say(f"wrote {what} ({shape}) of step {opened.step} to {target.path}")


def class_index(run: Run, label: str) -> int:
    """Return the number of the class that a user means by its name, or by its number.

    Raises
    ------
    ConfigError
        The generator reads no labels, or has no such class.
    """
    classes = run.sampler.classes
    if classes is None:
        raise ConfigError(f"--label is for runs with classes (recipe cgan); this one is of {run.config.recipe}")
    if label in classes:
        return list(classes).index(label)
    if label.isdecimal() and int(label) < len(classes):
        return int(label)
    names = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise ConfigError(f"--label is {label!r}, expected one of {names}, or a number from 0 to {len(classes) - 1}")


def _answer(run: Run, path: Path, shape: tuple[int, ...], labelled: bool, seed: int | None) -> dict[str, Any]:
    return {
        "file": str(path),
        "run": str(run.path),
        "step": run.step,
        "shape": list(shape),
        "labels": labelled,
        "seed": run.config.seed if seed is None else seed,
    }

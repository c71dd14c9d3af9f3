"""What ``npgan train`` says before the first step and after the last."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npgan.cli.compiling import compilation_announced
from npgan.cli.output import say, say_table, shape_text, time_text

if TYPE_CHECKING:
    from npgan.training.experiment import Experiment
    from npgan.training.folder import RunFolder
    from npgan.training.run import Run


def announcement(quiet: bool, announced: list[Path], until: ExitStack) -> Callable[[Experiment, RunFolder], None]:
    """Return what a trainer calls before the first step.

    Parameters
    ----------
    quiet : bool
        Say nothing.
    announced : list of Path
        Gets the run's folder: it exists from then on.
    until : ExitStack
        Until its end it is said what is compiled.
    """

    def on_start(experiment: Experiment, folder: RunFolder) -> None:
        announced.append(folder.path)
        if quiet:
            return
        say_table(_description(experiment, folder))
        for note in experiment.dataset.notes:
            say(f"note: {note}")
        if experiment.room is not None and experiment.steps.reason is not None:  # on a GPU that costs much
            say(f"note: steps are not recorded: {experiment.steps.reason}")
        if experiment.backend.name == "cpu":
            until.enter_context(compilation_announced())

    return on_start


def _description(experiment: Experiment, folder: RunFolder) -> list[tuple[str, str]]:
    from npgan.backend.sizes import size_text

    config, data = experiment.config, experiment.dataset
    G, D = experiment.generator, experiment.discriminator
    described = experiment.backend.describe()
    device = described.get("device") or f"{described['threads']} threads"
    samples = "endless" if data.endless else f"{len(data):,}"
    classes = f", {len(data.classes)} classes" if data.classes is not None else ""
    return [
        ("recipe", f"{experiment.recipe.name}: {experiment.recipe.summary}"),
        ("data", f"{data.name}: {samples} samples of {shape_text(data.sample_shape)}{classes}"),
        ("model", f"G {G.size:,} weights, D {D.size:,} weights, {config.loss} loss"),
        ("compute", f"{config.dtype} on {config.backend} ({device}), a step takes {size_text(experiment.game.nbytes)}"),
        *_memory(experiment),
        ("steps", f"{config.steps} with batches of {config.batch}, seed {config.seed}"),
        ("run", str(folder.path)),
    ]


def _memory(experiment: Experiment) -> list[tuple[str, str]]:
    """Return what a device's memory is needed for, and what it has."""
    from npgan.backend.sizes import size_text
    from npgan.training.memory import need, too_little

    if experiment.room is None:
        return []
    found = need(experiment)
    if found.total > experiment.room:
        return [("memory", too_little(experiment, experiment.room))]
    return [("memory", f"{found}, of {size_text(experiment.room)}")]


def resume_command(run: Path) -> str:
    """Return what to type to go on with a run."""
    return f"npgan train --resume {_argument(run)}"


def _argument(path: Path) -> str:
    """Return a path as an argument for a shell: quoted where it must be, and never taken for an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def report(run: Run, seconds: float, quiet: bool) -> None:
    """Say how the training ended, where everything is, and what to do next."""
    left = run.config.steps - run.step
    if run.stopped_by and left:
        cause = "Ctrl-C" if run.stopped_by == "SIGINT" else run.stopped_by
        # Even when quiet: this is why the exit code is not 0.
        say(f"stopped by {cause} at step {run.step} of {run.config.steps}, and saved; go on with", error=True)
        say(f"  {resume_command(run.path)}", error=True)
    if quiet:
        return
    if not run.stopped_by or not left:
        ended = "stopped by --max-time at" if left else "done:"
        say(f"{ended} step {run.step} of {run.config.steps} in {time_text(seconds)}")
    labels = {"samples": "samples", "losses": "losses", "checkpoint": "checkpoint"}
    found = files(run)
    rows = [(label, found[key]) for key, label in labels.items() if key in found]
    rows.append(("draw more", f"npgan sample {_argument(run.path)}"))
    if not run.stopped_by or not left:
        more = "" if left else f" --steps {2 * run.config.steps}"
        rows.append(("train on", resume_command(run.path) + more))
    say_table(rows, indent="  ")


def files(run: Run) -> dict[str, str]:
    """Return the paths of what a run has left, by what they are; `samples` is the last picture."""
    from npgan.training.checkpoint import checkpoint_path

    folder = run.folder
    found = {
        "config": folder.config_path,
        "metrics": folder.metrics_path,
        "losses": folder.loss_plot_path,
        "samples": folder.samples / f"step-{run.step:08d}.png",
        "checkpoint": checkpoint_path(folder.checkpoints, run.step),
    }
    return {name: str(path) for name, path in found.items() if path.exists()}


def answer(run: Run) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    metrics = run.metrics()
    finished = run.step >= run.config.steps
    return {
        "run": str(run.path),
        "recipe": run.config.recipe,
        "data": run.config.data.name,
        "step": run.step,
        "steps": run.config.steps,
        "finished": finished,
        "stopped_by": None if finished else run.stopped_by or "max-time",
        "metrics": metrics[-1] if metrics else {},
        "files": files(run),
    }

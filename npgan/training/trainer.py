"""The loop: steps, and what a run leaves behind while it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from npgan.data import Dataset
from npgan.errors import CheckpointError, ConfigError, NonFiniteError
from npgan.recipes import Recipe, get_recipe
from npgan.training import checkpoint
from npgan.training.config import Config, PlayerConfig, build, differences, merge
from npgan.training.experiment import Experiment, Facts
from npgan.training.folder import RunFolder, environment, environment_changes
from npgan.training.logbook import Logbook
from npgan.training.progress import Progress
from npgan.training.run import Run, read_run_config, step_of
from npgan.training.signals import StopSignals

Callback = Callable[[int, dict[str, float], Experiment], bool | None]
OnStart = Callable[[Experiment, RunFolder], None]

# A Wasserstein critic must be kept Lipschitz; without a penalty that is done by clipping (Arjovsky et al. 2017).
_LOSS_SETTINGS: dict[str, dict[str, Any]] = {"wasserstein": {"discriminator": {"clip_weights": 0.01}}}


def train(
    recipe: str | Recipe = "dcgan",
    *,
    data: str | Path | Dataset | None = None,
    data_dir: str | Path | None = None,
    steps: int | None = None,
    seed: int | None = None,
    backend: str | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    max_time: float | None = None,
    quiet: bool = False,
    on_start: OnStart | None = None,
) -> Run:
    """Train a GAN and return its run.

    Parameters
    ----------
    recipe : str or Recipe
        A name of `npgan.recipes.RECIPES`, or a Recipe of your own.
    data : str, Path or Dataset, optional
        A named data set, a file or folder, or a Dataset of your own; by default the recipe's.
    data_dir : path, optional
        Where the files of a named data set are.
    steps : int, optional
        Updates of the generator, in all.
    seed : int, optional
        Of weights, latents, shuffling, augmentation and dropout.
    backend : {"cpu", "gpu"}, optional
    out : path, optional
        The run folder, which must not exist; by default ``runs/RECIPE-DATA``, with a number where that exists.
    settings : mapping, optional
        Nested settings as in a config file: ``{"batch": 128, "generator": {"lr": 1e-4}}``.
    callbacks : sequence of callable
        ``callback(step, metrics, experiment)`` after every step; True stops the run there.
    max_time : float, optional
        Seconds after which the run stops as if the step were its last.
    quiet : bool
        Print nothing.
    on_start : callable, optional
        ``on_start(experiment, folder)`` when all is ready, before the first step.

    Returns
    -------
    Run

    Raises
    ------
    NpganError
        See `npgan.errors`; what was saved before stays.
    """
    found = recipe if isinstance(recipe, Recipe) else get_recipe(recipe)
    given: dict[str, Any] = {"steps": steps, "seed": seed, "backend": backend}
    given = {key: value for key, value in given.items() if value is not None}
    given["data"] = {"name": str(data)} if isinstance(data, str | Path) else {}
    if data_dir is not None:
        given["data"]["dir"] = str(data_dir)
    if isinstance(data, Dataset):
        given["data"]["name"] = data.name
    config = resolve(found, merge(settings or {}, given))
    experiment = Experiment(config, found, data if isinstance(data, Dataset) else None)
    folder = RunFolder.create(out if out is not None else _free_name(config))
    with folder.lock():
        folder.write_config(
            {**config.to_dict(), "facts": experiment.facts.to_dict(), "environment": environment(experiment.backend)}
        )
        if on_start is not None:
            on_start(experiment, folder)
        return _loop(experiment, folder, 0, callbacks, max_time, quiet)


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data: Dataset | None = None,
    recipe: Recipe | None = None,
    callbacks: Sequence[Callback] = (),
    max_time: float | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = print,
    on_start: OnStart | None = None,
) -> Run:
    """Go on with a run from its newest checkpoint.

    With the same settings, machine, versions, threads and BLAS core the result has the same bits as that of a run that
    was never interrupted; where one of these differs, a line says so.

    Parameters
    ----------
    run : path
        The run folder.
    steps : int, optional
        The new total.
    settings : mapping, optional
        Settings that win over the saved ones; what changes is printed.
    data, recipe : Dataset, Recipe, optional
        Those of your own that the run was begun with.
    callbacks, max_time, quiet, on_start
        As for `train`.
    say : callable
        Prints a line.

    Raises
    ------
    ConfigError
        `settings` make no sense, or `steps` is less than what the run has done.
    NpganError
        Otherwise as for `train`.
    """
    folder = RunFolder.open(run)
    with folder.lock():
        old, facts, old_environment = read_run_config(folder)
        new = build(override(old.to_dict(), merge(settings or {}, {} if steps is None else {"steps": steps})))
        found_recipe = recipe or get_recipe(new.recipe)
        experiment = Experiment(new, found_recipe, data)
        _check_facts(facts, experiment.facts)
        found, notes = checkpoint.latest(folder.checkpoints)
        step = step_of(found)
        if new.steps < step:
            raise ConfigError(f"steps is {new.steps}, but the run is at step {step} already; steps are counted in all")
        experiment.load(found.arrays, found.meta["counters"])
        checkpoint.prune(folder.checkpoints, new.log.keep, step)
        now = environment(experiment.backend)
        notes += differences(old, new) + environment_changes(old_environment, now)
        if not quiet:
            say(f"resuming {folder.path} at step {step}")
            for note in notes:
                say(f"  {note}")
        folder.write_config({**new.to_dict(), "facts": experiment.facts.to_dict(), "environment": now})
        if on_start is not None:
            on_start(experiment, folder)
        return _loop(experiment, folder, step, callbacks, max_time, quiet)


def resolve(recipe: Recipe, settings: Mapping[str, Any]) -> Config:
    """Return the config of a recipe under these settings: defaults, then the recipe's, the loss's, and the user's."""
    loss = settings.get("loss", recipe.settings.get("loss", Config.loss))
    values = merge(recipe.settings, _LOSS_SETTINGS.get(loss, {}) if isinstance(loss, str) else {})
    return build({**override(values, settings), "recipe": recipe.name})


def override(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `base` with those of `settings` winning.

    Where these name another loss, optimizer or schedule, the options of the old one go with it.
    """
    kept = _without_stale_options(base, settings, {"loss": Config.loss})
    defaults = {"optimizer": PlayerConfig.optimizer, "schedule": PlayerConfig.schedule}
    for player in ("generator", "discriminator"):
        own, given = base.get(player), settings.get(player)
        if isinstance(own, Mapping) and isinstance(given, Mapping):
            kept[player] = _without_stale_options(own, given, defaults)
    return merge(kept, settings)


def _without_stale_options(
    own: Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, str]
) -> dict[str, Any]:
    names = {name: own.get(name, default) for name, default in defaults.items()}
    stale = {f"{name}_options" for name, old in names.items() if given.get(name, old) != old}
    return {key: value for key, value in own.items() if key not in stale}


def _loop(
    experiment: Experiment,
    folder: RunFolder,
    start: int,
    callbacks: Sequence[Callback],
    max_time: float | None,
    quiet: bool,
) -> Run:
    """Run the steps from `start` and write what is due after each."""
    config = experiment.config
    deadline = None if max_time is None else time.monotonic() + max_time
    done = start
    try:
        with (
            StopSignals() as signals,
            Logbook(experiment, folder, start) as log,
            Progress(config.steps, start, max_time, quiet) as progress,
        ):
            while done < config.steps:
                metrics = experiment.step(done)
                done += 1
                late = deadline is not None and time.monotonic() >= deadline
                asked = [callback(done, metrics, experiment) for callback in callbacks]
                last = done == config.steps or late or signals.requested or any(asked)
                progress.update(done, metrics)
                log.after(done, metrics, last=last)
                if last:
                    break
    except NonFiniteError as error:
        saved = step_of(checkpoint.latest(folder.checkpoints)[0])
        raise NonFiniteError(
            f"{error}. The checkpoint of step {saved} is untouched: go on from it with a lower learning rate "
            f"(--resume {folder.path} --set generator.lr=...), gradient clipping or another loss"
        ) from None
    finally:
        experiment.close()
    return Run(folder.path, recipe=experiment.recipe, stopped_by=signals.name)


def _check_facts(old: Facts, new: Facts) -> None:
    if old != new:
        raise CheckpointError(f"the run was made of data with {old}, and these have {new}; resume it with its own data")


def _free_name(config: Config) -> Path:
    """Return ``runs/RECIPE-DATA``, with a number where that exists."""
    name = f"{config.recipe}-{Path(config.data.name).name or 'data'}"
    for i in range(1, 100_000):
        path = Path("runs") / (name if i == 1 else f"{name}-{i}")
        if not path.exists():
            return path
    raise ConfigError("runs/ is full; give --out")

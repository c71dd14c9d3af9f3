"""The loop: steps, and what a run leaves behind while it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.data import Dataset, open_dataset
from npgan.errors import CheckpointError, ConfigError, DeviceMemoryError, NonFiniteError
from npgan.recipes import Recipe, get_recipe
from npgan.training import checkpoint
from npgan.training.config import Config, PlayerConfig, build, differences, merge
from npgan.training.experiment import Experiment, Facts
from npgan.training.folder import RunFolder, environment, environment_changes
from npgan.training.logbook import Logbook
from npgan.training.memory import too_little
from npgan.training.progress import Progress
from npgan.training.run import Run, read_run_config, recipe_of, step_of
from npgan.training.signals import StopSignals

Callback = Callable[[int, dict[str, float], Experiment], bool | None]
OnStart = Callable[[Experiment, RunFolder], None]

# A Wasserstein critic must be kept Lipschitz; without a penalty that is done by clipping (Arjovsky et al. 2017).
_CLIP_WEIGHTS = {"wasserstein": 0.01}


def train(
    recipe: str | Recipe = "dcgan",
    *,
    data: str | Path | Dataset | Array | None = None,
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
    data : str, Path, Dataset or array, optional
        A named data set, a file or folder, or a Dataset of your own or an array (see `open_dataset`); by default the
        recipe's.
    data_dir : path, optional
        Where the files of a named data set are.
    steps : int, optional
        Updates of the generator, in all.
    seed : int, optional
        Of weights, latents, shuffling, augmentation and dropout.
    backend : {"cpu", "gpu", "gpu:tf32", "gpu:bf16"}, optional
        Where to compute, and in what products are made on a GPU; by default the recipe's, which is the CPU.
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
    own = None if isinstance(data, str | Path) else _own_data(data)
    name = data if own is None else own.name
    where = {"name": None if name is None else str(name), "dir": None if data_dir is None else str(data_dir)}
    given = _given({"steps": steps, "seed": seed, "backend": backend, "data": _given(where) or None})
    config = resolve(found, merge(settings or {}, given))
    experiment = Experiment(config, found, own)
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
    data: Dataset | Array | None = None,
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
    data : Dataset or array, optional
    recipe : Recipe, optional
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
        experiment = Experiment(new, recipe or recipe_of(new), _own_data(data))
        _check_facts(facts, experiment.facts)
        step = 0
        notes: list[str] = []
        if not _never_began(folder):
            found, notes = checkpoint.latest(folder.checkpoints)
            step = step_of(found)
            if new.steps < step:
                raise ConfigError(
                    f"steps is {new.steps}, but the run is at step {step} already; steps are counted in all"
                )
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
    """Return the config of a recipe under these settings: defaults, then the loss's, the recipe's and the user's."""
    loss = recipe.settings.get("loss", Config.loss)
    base = override({"loss": loss, **_loss_settings(loss)}, recipe.settings)
    return build({**override(base, settings), "recipe": recipe.name})


def override(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `base` with those of `settings` winning.

    Where these name another loss, optimizer, schedule or rule, the options of the old one go with it, and so does the
    clipping of D's weights, which belongs to the loss, and what belongs to the alternating step.
    """
    kept = _without_stale_options(base, settings, {"loss": Config.loss, "rule": Config.rule})
    if settings.get("rule", base.get("rule", Config.rule)) != Config.rule:
        kept = {key: value for key, value in kept.items() if key not in ("n_critic", "fresh_noise")}
    defaults = {"optimizer": PlayerConfig.optimizer, "schedule": PlayerConfig.schedule}
    for player in ("generator", "discriminator"):
        own, given = base.get(player), settings.get(player)
        if isinstance(own, Mapping) and isinstance(given, Mapping):
            kept[player] = _without_stale_options(own, given, defaults)
    loss = base.get("loss", Config.loss)
    if settings.get("loss", loss) != loss:
        kept = merge(kept, _loss_settings(settings["loss"]))
    if settings.get("penalties"):  # which keep a Wasserstein critic Lipschitz in another way
        kept = merge(kept, {"discriminator": {"clip_weights": 0.0}})
    return merge(kept, settings)


def _loss_settings(loss: object) -> dict[str, Any]:
    return {"discriminator": {"clip_weights": _CLIP_WEIGHTS.get(str(loss), 0.0)}}


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
    config, steps = experiment.config, experiment.steps
    deadline = None if max_time is None else time.monotonic() + max_time
    done = start
    reason = steps.reason
    shown: dict[str, float] = {}
    try:
        with (
            np.errstate(all="ignore"),  # what is not finite is found by the step's checks, and named
            StopSignals() as signals,
            Logbook(experiment, folder, start) as log,
            Progress(config.steps, start, max_time, quiet) as progress,
        ):
            while done < config.steps:
                experiment.start(done)
                done += 1
                last = done == config.steps or signals.requested
                last |= deadline is not None and time.monotonic() >= deadline
                # A GPU is many steps behind. It is waited for where its weights are looked at, and nowhere else.
                wait = last or bool(callbacks) or log.saves(done)
                if wait or log.measures(done) or steps.reason is not None:  # what is not recorded is here already
                    steps.read()
                known = [(step + 1, metrics) for step, metrics in steps.known(wait=wait)]
                shown = known[-1][1] if known else shown
                if callbacks:
                    asked = [callback(done, shown, experiment) for callback in callbacks]
                    last |= any(asked) or signals.requested
                for step, metrics in known:
                    if log.measures(step) or (last and step == done):
                        log.metrics_of(step, metrics)
                if steps.reason != reason and experiment.room is not None:
                    reason = steps.reason
                    progress.message(f"note: steps are not recorded any more: {reason}")
                progress.update(done, shown)
                log.after(done, last=last)
                if last:
                    break
    except NonFiniteError as error:
        raise NonFiniteError(f"{error}{_advice(folder)}") from None
    except MemoryError as error:
        if experiment.room is None:
            raise
        raise DeviceMemoryError(f"{error}; {too_little(experiment, experiment.room)}") from error
    finally:
        experiment.close()
    return Run(folder.path, recipe=experiment.recipe, stopped_by=signals.name)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _advice(folder: RunFolder) -> str:
    """Return what to do about a value that is not finite."""
    with suppress(CheckpointError):  # it was there before the first checkpoint
        saved = step_of(checkpoint.latest(folder.checkpoints)[0])
        return (
            f". The checkpoint of step {saved} is untouched: go on from it with a lower learning rate "
            f"(--resume {folder.path} --set generator.lr=...), gradient clipping or another loss"
        )
    return ""


def _own_data(data: Any) -> Dataset | None:
    """Return a user's Dataset or array as a Dataset; None for None."""
    if data is not None and not isinstance(data, Dataset | np.ndarray):
        raise ConfigError(
            f"data is a {type(data).__name__}, expected a Dataset or an array; the name or path of others is the "
            "setting data.name"
        )
    return None if data is None else open_dataset(data)


def _never_began(folder: RunFolder) -> bool:
    """Return whether a run was stopped before its first checkpoint: it begins at the beginning, with nothing lost."""
    metrics = folder.metrics_path
    return not any(folder.checkpoints.glob("step-*.safetensors")) and not (metrics.exists() and metrics.stat().st_size)


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

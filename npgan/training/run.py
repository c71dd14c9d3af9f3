"""Run: a run folder, opened to be looked at or sampled from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npgan.backend import get_backend
from npgan.backend.base import Array
from npgan.errors import CheckpointError, ConfigError
from npgan.game import Latent
from npgan.recipes import RECIPES, Recipe
from npgan.training import checkpoint
from npgan.training.config import Config, build
from npgan.training.experiment import Facts, build_networks, load_network
from npgan.training.folder import RunFolder
from npgan.training.metrics import read
from npgan.training.sampler import Sampler


class Run:
    """What training leaves behind.

    Attributes
    ----------
    path : Path
        The folder.
    config : Config
    facts : Facts
        Of the data.
    step : int
        Of the checkpoint that was loaded.
    generator, discriminator : Network
        G has the averaged weights where the run keeps an average.
    warnings : list of str
        Damaged checkpoints that were passed over.
    stopped_by : str
        The signal that ended the training early, or nothing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        backend: str | None = None,
        recipe: Recipe | None = None,
        stopped_by: str = "",
    ) -> None:
        self.stopped_by = stopped_by
        self.folder = RunFolder.open(path)
        self.path = self.folder.path
        self.config, self.facts, _ = read_run_config(self.folder)
        recipe = recipe or recipe_of(self.config)
        where = get_backend(backend or self.config.backend)
        self.generator, self.discriminator = build_networks(self.config, recipe, self.facts, where)
        found, self.warnings = checkpoint.latest(self.folder.checkpoints)
        self.step = step_of(found)
        load_network(self.discriminator, "D", found.arrays)
        load_network(self.generator, "G", found.arrays)
        mean = found.arrays.get("G.ema/mean")
        if mean is not None and self.step:  # before the first step there is nothing to average
            self.generator.load(mean)
        self._latent = Latent((self.config.latent.size,), self.config.latent.distribution)
        self._classes = self.facts.classes if recipe.conditional else None

    @property
    def sampler(self) -> Sampler:
        """What draws samples: ``run.sampler.draw(64)``."""
        return Sampler(self.generator, self._latent, self._classes, self.config.seed)

    def sample(self, n: int = 64, *, seed: int | None = None, labels: Array | int | None = None) -> Array:
        """Return n samples (n, *sample_shape); see `Sampler.draw`."""
        return self.sampler.draw(n, seed=seed, labels=labels)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``."""
        return read(self.folder.metrics_path)

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.config.recipe} on {self.config.data.name}, step {self.step}>"


def read_run_config(folder: RunFolder) -> tuple[Config, Facts, dict[str, Any]]:
    """Return the config, the facts of the data and the environment that a run folder recorded.

    Raises
    ------
    CheckpointError
        They cannot be read, or make no sense.
    """
    try:
        values = folder.read_config()
        environment, facts = values.pop("environment", {}), values.pop("facts", None)
        if not isinstance(environment, dict) or not isinstance(facts, dict):
            raise ConfigError("it has no [facts] or no [environment]")
        return build(values), Facts.read(facts), environment
    except ConfigError as error:
        # Nothing that somebody typed is wrong: the run is damaged.
        raise CheckpointError(f"{folder.config_path} is not the config of a run: {error}") from None


def recipe_of(config: Config) -> Recipe:
    """Return the recipe of a run's config, or raise ConfigError where it is a user's own."""
    if config.recipe not in RECIPES:
        raise ConfigError(f"the run is of a recipe of your own, {config.recipe!r}: give it, with recipe=")
    return RECIPES[config.recipe]


def step_of(found: checkpoint.Checkpoint) -> int:
    """Return the step of a checkpoint."""
    step = found.meta.get("step")
    if not isinstance(step, int) or step < 0:
        raise CheckpointError(f"{found.path} does not say of which step it is")
    return step

"""Everything of a run that computes, made from a Config: networks, players, data, the rule; and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend
from npgan.data import Augment, Dataset, DeviceLoader, Loader, open_dataset
from npgan.errors import CheckpointError, ConfigError, SecondOrderError
from npgan.game import Alternating, Game, Latent, MiniBatches, Rule, Steps
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import Ema
from npgan.penalties import PENALTIES, GradientPenalty, get_penalty
from npgan.recipes import Fit, Recipe
from npgan.training.config import Config
from npgan.training.memory import need
from npgan.training.players import make_player, make_rule
from npgan.training.sampler import Sampler


@dataclass(frozen=True)
class Facts:
    """What a generator must know of the data; kept in a run's config, so that sampling does not need the data."""

    sample_shape: tuple[int, ...]
    classes: tuple[str, ...] | None
    value_range: tuple[float, float] | None

    @classmethod
    def of(cls, dataset: Dataset) -> Facts:
        """Return the facts of a data set, in Python's own types whatever a user's Dataset has."""
        return cls.read({name: getattr(dataset, name) for name in ("sample_shape", "classes", "value_range")})

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Facts:
        """Return the facts that `to_dict` wrote."""
        try:
            classes, value_range = table.get("classes"), table.get("value_range")
            return cls(
                tuple(int(n) for n in table["sample_shape"]),
                None if classes is None else tuple(str(name) for name in classes),
                None if value_range is None else (float(value_range[0]), float(value_range[1])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(f"sample_shape, classes or value_range of the data make no sense: {error!r}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return them for TOML."""
        return {"sample_shape": self.sample_shape, "classes": self.classes, "value_range": self.value_range}


def build_networks(config: Config, recipe: Recipe, facts: Facts, backend: Backend) -> tuple[Network, Network]:
    """Return G and D with their initial weights."""
    classes = None if facts.classes is None else len(facts.classes)
    bounded = facts.value_range == (-1.0, 1.0)
    model = {**recipe.settings.get("model", {}), **config.model}
    layers = recipe.build(Fit(facts.sample_shape, classes, bounded, model))
    shapes = ((config.latent.size,), facts.sample_shape)
    condition = () if recipe.conditional else None
    generator, discriminator = (
        Network(
            each, shape, condition_shape=condition, backend=backend, dtype=config.dtype, seed=config.seed, name=name
        )
        for each, shape, name in zip(layers, shapes, "GD", strict=True)
    )
    return generator, discriminator


class Experiment:
    """A training run in memory.

    Parameters
    ----------
    config : Config
    recipe : Recipe
    dataset : Dataset, optional
        Opened from the config unless given.

    Raises
    ------
    ConfigError, DataError, ShapeError, BackendError
        The settings make no sense, or not with these data, or not on this machine.

    Attributes
    ----------
    room : int or None
        Bytes of a device's memory that could be had before any of this was made.
    resident : bool
        Whether the data are on the device.
    """

    def __init__(self, config: Config, recipe: Recipe, dataset: Dataset | None = None) -> None:
        self.config, self.recipe = config, recipe
        self.backend = get_backend(config.backend)
        self.room, self.resident = self.backend.room(), False
        self.dataset = dataset if dataset is not None else _open(config)
        self.facts = Facts.of(self.dataset)
        self.generator, self.discriminator = build_networks(config, recipe, self.facts, self.backend)
        self.random = self.backend.random(config.seed)
        loss = get_loss(config.loss, backend=self.backend, **config.loss_options)
        classes = self.facts.classes or ()
        if loss.class_weights is not None and len(loss.class_weights) != len(classes):
            raise ConfigError(
                f"loss_options.class_weights has {len(loss.class_weights)} values for {len(classes)} classes"
            )
        penalties = [_penalty(table) for table in config.penalties]
        ema = None
        if config.ema:
            ema = Ema(self.generator.size, config.dtype, decay=config.ema, backend=self.backend)
        self.players = {
            "G": make_player(self.generator, config.generator, "generator", ema),
            "D": make_player(self.discriminator, config.discriminator, "discriminator", None),
        }
        self.latent = Latent((config.latent.size,), config.latent.distribution)
        rule = make_rule(config, self.players)
        try:
            self.game = Game(
                self.generator,
                self.discriminator,
                loss,
                config.batch,
                penalties=penalties,
                random=self.random,
                order=2 if rule is not None and rule.second_order else 1,
            )
        except SecondOrderError as error:
            if rule is None or not rule.second_order:
                raise
            raise SecondOrderError(
                f"rule {rule} needs products with the Jacobian, and {error}; choose a rule of first order, such as "
                "extragradient, or other layers"
            ) from None
        where = self.players["G"], self.players["D"], self.latent, self.random
        self.rule: Alternating | MiniBatches
        if rule is None:
            self.rule = Alternating(self.game, *where, n_critic=config.n_critic, fresh_noise=config.fresh_noise)
        else:
            self.rule = MiniBatches(self.game, rule, *where)
        self.steps = Steps(self.rule, record=config.record)
        self.loader = self._loader()
        self._averaged: Network | None = None

    def _loader(self) -> Loader | DeviceLoader:
        data, config = self.config.data, self.config
        augment = Augment(data.flip, data.rotate, data.shift, data.scale)
        random = get_backend("cpu").random(config.seed)
        options: dict[str, Any] = {
            "shuffle": data.shuffle,
            "balanced": data.balanced,
            "augment": augment if augment.active else None,
            "prefetch": data.prefetch,
            "dtype": config.dtype,
        }
        if self.room is None:
            return Loader(self.dataset, config.batch, random, **options)
        room = (self.room - need(self).total) // 2
        loader = DeviceLoader(self.dataset, config.batch, random, self.backend, room=room, **options)
        self.resident = loader.resident
        return loader

    def step(self, step: int) -> dict[str, float]:
        """Run training step number `step`, from 0; return its metrics. See `start` for what need not wait for them."""
        self.start(step)
        self.steps.read()
        return self.steps.known(wait=True)[-1][1]

    def start(self, step: int) -> None:
        """Begin training step number `step`; its metrics are asked for, and come, by way of `steps`."""
        self.steps.step(step, self._data)

    def _data(self, turn: int) -> tuple[Array, Array | None]:
        batch = self.loader.get(turn)
        return batch.x, batch.labels

    def sampler(self) -> Sampler:
        """Return what draws samples from G as it is now, or from the average of its weights where one is kept."""
        mean, network = self._mean(), self.generator
        if mean is not None:
            if self._averaged is None:
                self._averaged, _ = build_networks(self.config, self.recipe, self.facts, self.backend)
            network = self._averaged
            network.load(mean, self.generator.state)
        return Sampler(network, self.latent, self.facts.classes if self.recipe.conditional else None, self.config.seed)

    def _mean(self) -> Array | None:
        """Return the average of G's weights, of the player or of the rule, where there is one yet."""
        ema, rule = self.players["G"].ema, self._moving
        if ema is not None and ema.t:
            return ema.mean
        if rule is not None and rule.average is not None and rule.t:
            return rule.average[self.discriminator.size :]
        return None

    @property
    def _moving(self) -> Rule | None:
        """The rule of `npgan.game.RULES`, unless it is the alternating step."""
        return self.rule.rule if isinstance(self.rule, MiniBatches) else None

    def close(self) -> None:
        """Stop the loader's thread."""
        self.loader.close()

    # ---------------------------------------------------------------- checkpoints

    def arrays(self) -> dict[str, Array]:
        """Return every array that a checkpoint holds, by name, on the host."""
        found: dict[str, Array] = {}
        for name, player in self.players.items():
            found |= {f"{name}/{key}": value for key, value in player.network.parameters().items()}
            states = player.network.state_layout.by_name(player.network.state)
            found |= {f"{name}.state/{key}": value for key, value in states.items()}
            found |= {f"{name}.optimizer/{key}": value for key, value in player.optimizer.state().items()}
            if player.ema is not None:
                found |= {f"{name}.ema/{key}": value for key, value in player.ema.state().items()}
        rule = self._moving
        if rule is not None and rule.memory.size:
            found["rule/memory"] = rule.memory
        if rule is not None and rule.average is not None:  # where a run's samples are drawn from
            found["G.ema/mean"] = rule.average[self.discriminator.size :]
        return {name: self.backend.to_host(array) for name, array in found.items()}

    def counters(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside arrays, but the step."""
        found: dict[str, Any] = {
            name: {"optimizer": player.optimizer.t, "ema": player.ema.t if player.ema is not None else 0}
            for name, player in self.players.items()
        }
        rule = self._moving
        return found if rule is None else {**found, "rule": {"name": str(rule), "t": rule.t}}

    def load(self, arrays: Mapping[str, Array], counters: Mapping[str, Any]) -> None:
        """Take over what `arrays` and `counters` returned.

        Raises
        ------
        CheckpointError, ShapeError, DTypeError
            They are of another model.
        """
        for name, player in self.players.items():
            load_network(player.network, name, arrays)
            moments = _part(arrays, f"{name}.optimizer/")
            if set(moments) == set(player.optimizer.state()):  # else it is another optimizer, and begins afresh
                player.optimizer.load_state(moments, counters[name]["optimizer"])
            if player.ema is not None:
                mean = _part(arrays, f"{name}.ema/")
                if mean:
                    player.ema.load_state(mean, counters[name]["ema"])
                else:  # the average was switched on when the run was resumed
                    player.ema.update(player.network.theta)
        rule, old = self._moving, counters.get("rule", {})
        memory = arrays.get("rule/memory")
        if rule is not None and old.get("name") == str(rule):  # else it is another rule, and begins afresh
            if memory is not None and memory.shape == rule.memory.shape:
                rule.memory[...] = self.backend.asarray(memory)
            rule.t = old["t"]


def load_network(network: Network, name: str, arrays: Mapping[str, Array]) -> None:
    """Take a network's weights and state from the arrays of a checkpoint, all or none of them."""
    theta = _gather(network.layout.describe(), _part(arrays, f"{name}/"), name, network.dtype)
    state = _gather(network.state_layout.describe(), _part(arrays, f"{name}.state/"), f"{name}.state", network.dtype)
    network.load(theta, state)


def _gather(layout: Mapping[str, Any], arrays: Mapping[str, Array], name: str, dtype: np.dtype[Any]) -> Array:
    if set(layout) != set(arrays):
        odd = sorted(set(layout) ^ set(arrays))
        raise CheckpointError(f"the checkpoint is of another model: {name}/{odd[0]} is only in one of the two")
    for key, shape in layout.items():
        if arrays[key].shape != shape or arrays[key].dtype != dtype:
            raise CheckpointError(
                f"the checkpoint is of another model: {name}/{key} is {arrays[key].dtype} {arrays[key].shape}, "
                f"expected {dtype} {shape}"
            )
    return np.concatenate([np.zeros(0, dtype), *(arrays[key].reshape(-1) for key in layout)])


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _open(config: Config) -> Dataset:
    data = config.data
    return open_dataset(
        data.name,
        data_dir=data.dir,
        split=data.split,
        random_seed=config.seed,
        image_size=data.image_size,
        grayscale=data.grayscale or None,
    )


def _penalty(table: Mapping[str, Any]) -> GradientPenalty:
    if not isinstance(table, Mapping) or "name" not in table:
        raise ConfigError(
            f'penalties has {table!r}, expected tables such as {{name = "r1", gamma = 1.0}}; '
            f"there are {', '.join(PENALTIES)}"
        )
    return get_penalty(**table)

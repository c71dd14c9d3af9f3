"""Every setting of a run, as typed dataclasses; read from TOML and from ``--set key=value``.

A recipe gives the values that differ from the defaults here, a config file or the command line overrides them.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from npgan.errors import ConfigError
from npgan.options import toml_value

T = TypeVar("T")


@dataclass(frozen=True)
class PlayerConfig:
    """How one player learns."""

    optimizer: str = "adam"
    optimizer_options: dict[str, Any] = field(default_factory=dict)  # betas, eps, weight_decay, momentum, ...
    lr: float = 2e-4
    schedule: str = "constant"
    schedule_options: dict[str, Any] = field(default_factory=dict)
    clip_norm: float = 0.0  # of the gradient; 0: none
    clip_value: float = 0.0  # of each element of the gradient; 0: none
    clip_weights: float = 0.0  # of each weight, after the update; 0: none
    # {ranges = "*/bias", lr = 0.5, weight_decay = 0, frozen = false}, ..., and {} for all the rest
    groups: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class DataConfig:
    """What is learned."""

    name: str = "digits"  # a name that npgan knows, or a path
    dir: str | None = None  # where the files of a named set are
    split: str = "train"
    image_size: int | None = None  # resize folders of images
    grayscale: bool = False
    shuffle: bool = True
    balanced: bool = False  # every class as often as every other
    prefetch: int = 2  # batches made ahead, in a thread
    flip: bool = False  # augmentation: mirror left and right
    rotate: float = 0.0  # ... by up to so many degrees
    shift: float = 0.0  # ... by up to this part of the size
    scale: float = 0.0  # ... by a factor in 1 ± this


@dataclass(frozen=True)
class LatentConfig:
    """The generator's input."""

    size: int = 100
    distribution: str = "normal"  # or "uniform" in (-1, 1)


@dataclass(frozen=True)
class LogConfig:
    """What a run leaves behind, and how often (in steps)."""

    every: int = 10  # a line of metrics
    samples_every: int = 250  # a picture of samples
    checkpoint_every: int = 500
    keep: int = 3  # checkpoints
    samples: int = 64  # in a picture
    tensorboard: bool = True


@dataclass(frozen=True)
class Config:
    """A whole run."""

    recipe: str = "dcgan"
    steps: int = 2000
    seed: int = 0
    batch: int = 64
    dtype: str = "float32"
    backend: str = "cpu"
    loss: str = "non-saturating"
    loss_options: dict[str, Any] = field(default_factory=dict)  # smoothing, class_weights, ...
    penalties: list[dict[str, Any]] = field(default_factory=list)  # on D: {name = "r1", gamma = 10, every = 1}
    rule: str = "alternating"  # how the players move
    rule_options: dict[str, Any] = field(default_factory=dict)  # gamma, k, inner, ...
    n_critic: int = 1
    fresh_noise: bool = False
    record: bool = True  # write the kernel calls of a step down once and replay them, where the backend can: same bits
    ema: float = 0.0  # decay of the average of G's weights that samples are drawn from; 0: none
    model: dict[str, Any] = field(default_factory=dict)  # the recipe's own settings: channels, width, ...
    latent: LatentConfig = field(default_factory=LatentConfig)
    data: DataConfig = field(default_factory=DataConfig)
    generator: PlayerConfig = field(default_factory=PlayerConfig)
    discriminator: PlayerConfig = field(default_factory=PlayerConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        _from_1(self, "", "steps", "batch", "n_critic")
        _from_1(self.log, "log.", "every", "samples_every", "checkpoint_every", "keep", "samples")
        _from_1(self.latent, "latent.", "size")
        for name in ("generator", "discriminator"):
            player = getattr(self, name)
            for key in ("lr", "clip_norm", "clip_value", "clip_weights"):
                if not 0 <= getattr(player, key) < math.inf:
                    raise ConfigError(f"{name}.{key} is {getattr(player, key)}, expected a finite number from 0")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema is {self.ema}, expected a decay in [0, 1); 0 is none")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed is {self.seed}, expected 0 to 2**63 - 1")

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts without what is None, as TOML has no such thing."""
        values: dict[str, Any] = _without_none(dataclasses.asdict(self))
        return values


def _from_1(table: Any, path: str, *names: str) -> None:
    for name in names:
        if getattr(table, name) < 1:
            raise ConfigError(f"{path}{name} is {getattr(table, name)}, expected a whole number from 1")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list | tuple) else value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested dicts with the entries of `over` winning."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def build(values: Mapping[str, Any]) -> Config:
    """Return the Config of nested dicts; a key that there is not, or a value of the wrong kind, is a ConfigError."""
    return _build(Config, values, "")


def _build(cls: type[T], values: Any, path: str) -> T:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path.rstrip('.')} is {values!r}, expected a table of settings")
    hints = get_type_hints(cls)
    given = {}
    for key, value in values.items():
        if key not in hints:
            close = [path + name for name in get_close_matches(str(key), hints, 1, 0.5)] or _elsewhere(str(key))
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise ConfigError(
                f"there is no setting {path}{key}{hint} (there are {', '.join(path + name for name in hints)})"
            )
        given[key] = _convert(hints[key], value, f"{path}{key}")
    return cls(**given)


def _elsewhere(key: str) -> list[str]:
    """Return the settings of that name in any table: ``lr`` is in two of them; a recipe's own are in ``model``."""
    tables = {name: hint for name, hint in get_type_hints(Config).items() if dataclasses.is_dataclass(hint)}
    found = [f"{table}.{key}" for table, hint in tables.items() if key in get_type_hints(hint)]
    return found or ([f"model.{key}"] if key in ("channels", "width", "slope", "embedding") else [])


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{path}.")  # type: ignore[arg-type]
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in get_args(hint) if arg is not type(None))
        return None if value is None else _convert(inner, value, path)
    kind = origin or hint
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{path} is {value!r}, expected {_NAMES[kind]}")
    return value


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "a table of settings",
    list: "a list of tables, [{key = value, ...}, ...]",
}


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Return nested dicts of ``["generator.lr=1e-4", "loss=hinge"]``; a value is TOML, or else a text."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"--set {setting!r} is not key=value, such as generator.lr=1e-4")
        value = toml_value(text)
        value = text.strip() if value is None else value
        for part in reversed(parts):
            value = {part: value}
        values = merge(values, value)
    return values


def differences(old: Config, new: Config) -> list[str]:
    """Return one line for each setting that differs: ``generator.lr: 0.0002 -> 0.0001``."""
    return _differences(old.to_dict(), new.to_dict(), "")


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> list[str]:
    lines = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += _differences(a, b, f"{path}{key}.")
        elif a != b:
            lines.append(f"{path}{key}: {a} -> {b}")
    return lines

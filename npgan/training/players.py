"""The players of a run, and how they move, from its config."""

from __future__ import annotations

from collections.abc import Mapping

from npgan.errors import ConfigError
from npgan.game import Player, Rule, rules
from npgan.network import Network
from npgan.optimizers import Ema, get_optimizer, get_schedule
from npgan.training.config import Config, PlayerConfig


def make_rule(config: Config, players: Mapping[str, Player]) -> Rule | None:
    """Return the rule, or None for the alternating step, which has a way of its own."""
    if config.rule == Config.rule:
        if config.rule_options:
            raise ConfigError(
                f"rule_options is {config.rule_options}, but the alternating step has none: it is set by n_critic and "
                "fresh_noise"
            )
        return None
    d, g = players["D"], players["G"]
    rule = rules.make_rule(config.rule, (d.optimizer, g.optimizer), (d.rate(0), g.rate(0)), config.rule_options)
    for setting in ("n_critic", "fresh_noise"):
        if getattr(config, setting) != getattr(Config, setting):
            raise ConfigError(
                f"{setting} is {getattr(config, setting)}, but that belongs to the alternating step, and the rule is "
                f"{rule}; leave it out"
            )
    if rule.average is not None and config.ema:
        raise ConfigError(f"ema is {config.ema}, but the rule, {rule}, averages already; leave one of the two out")
    return rule


def make_player(network: Network, config: PlayerConfig, name: str, ema: Ema | None) -> Player:
    """Return a player; its errors say of which."""
    groups = {"groups": config.groups} if config.groups else {}
    try:
        optimizer = get_optimizer(
            config.optimizer,
            network.size,
            network.dtype,
            backend=network.backend,
            names=network.layout.ranges(),
            **groups,
            **config.optimizer_options,
        )
        schedule = get_schedule(config.schedule, lr=config.lr, **config.schedule_options)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    norm, value, weights = config.clip_norm or None, config.clip_value or None, config.clip_weights or None
    return Player(network, optimizer, schedule, norm, value, weights, ema)

"""Penalties and rules as settings say them: a name and its options, ``"r1 gamma=0.1"`` or ``"consensus gamma=0.5"``."""

from __future__ import annotations

from typing import Any

from npgan.errors import ConfigError
from npgan.game import bilinear_game, get_rule
from npgan.penalties import GradientPenalty, get_penalty
from npgan.study.studies.settings import parse


def penalties_of(text: str) -> list[GradientPenalty]:
    """Return the penalties of a text; ``"none"`` is none.

    Raises
    ------
    ConfigError
        It is not of that form, or there is no such penalty or option.
    """
    name, options = _parts("penalty", text, '"r1 gamma=0.1", or "none"')
    return [] if name == "none" and not options else [get_penalty(name, **options)]


def rule_of(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of a text that says a rule.

    Raises
    ------
    ConfigError
        It is not of that form, or there is no such rule or option.
    """
    name, options = _parts("rule", text, '"extragradient" or "consensus gamma=0.5"')
    get_rule(name, bilinear_game(), **options)
    return name, options


def _parts(what: str, text: object, example: str) -> tuple[str, dict[str, Any]]:
    expected = f"{what} is {text!r}, expected a name and options such as {example}"
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(expected)
    name, *rest = text.split()
    if not all("=" in part for part in rest):
        raise ConfigError(expected)
    return name, parse(rest)

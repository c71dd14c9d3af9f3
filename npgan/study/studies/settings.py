"""Settings: read from the command line, and taken as the types that their defaults have."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from npgan.errors import ConfigError
from npgan.options import number, toml_value, whole


def parse(settings: list[str]) -> dict[str, Any]:
    """Return ``["lr=0.1", "losses=minimax,hinge"]`` as a dict: a value is TOML, a list with commas, or a text."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {setting!r} is not key=value, such as lr=0.1")
        found[key.strip()] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    value = toml_value(text)
    if value is not None:
        return value
    return [_value(part.strip()) for part in text.split(",")] if "," in text else text


def settled(what: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults with the given settings over them, as the types that the defaults have.

    Raises
    ------
    ConfigError
        One is unknown, or of another type.
    """
    found = dict(defaults)
    for key, value in given.items():
        if key not in found:
            close = get_close_matches(key, found, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            random = "; nothing in it is random" if key == "seed" else ""
            raise ConfigError(f"{what} has no setting {key!r}{random}; {hint}there are {', '.join(found)}")
        found[key] = _like(f"{what}: {key}", value, found[key])
    return found


def _like(what: str, value: Any, default: Any) -> Any:
    """Return a value as the type that the default has."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{what} is {value!r}, expected true or false")
        return value
    if isinstance(default, int):
        return whole(what, value)
    if isinstance(default, float):
        return number(what, value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ConfigError(f"{what} is {value!r}, expected a text")
        return value
    if isinstance(value, Mapping):
        raise ConfigError(f"{what} is {value!r}, expected a list such as {', '.join(map(str, default)) or 'a, b'}")
    if isinstance(value, str) or not hasattr(value, "__iter__"):  # one is a list of one
        value = [value] if value != "" else []
    kind = default[0] if default else ""
    return tuple(_like(f"{what}[{i}]", each, kind) for i, each in enumerate(value))

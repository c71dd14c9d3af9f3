"""What a study is: a function of its settings that returns arrays, what is said of them, and how they are drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.options import number, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Study:
    """A named study.

    Attributes
    ----------
    name, summary : str
    run : callable
        Keyword arguments, each with a default, to a dataclass of arrays, numbers and texts. The defaults' types are the
        settings' types. It prints nothing and writes nothing.
    tell : callable
        Of what `run` returned, to a text with numbers in it.
    draw : callable
        Of what `run` returned, to figures by name.
    seconds : float
        How long `run` takes with its defaults on two cores, roughly.
    film : callable, optional
        Of what `run` returned, to films by name: lists of (H, W, 3) uint8 frames.
    """

    name: str
    summary: str
    run: Callable[..., Any]
    tell: Callable[[Any], str]
    draw: Callable[[Any], dict[str, Figure]]
    seconds: float
    film: Callable[[Any], dict[str, list[Array]]] | None = None

    def defaults(self) -> dict[str, Any]:
        """Return the settings with their defaults."""
        return {name: each.default for name, each in inspect.signature(self.run).parameters.items()}

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings, the given ones over the defaults.

        Raises
        ------
        ConfigError
            One is unknown, or of another type than its default.
        """
        found = self.defaults()
        for key, value in given.items():
            if key not in found:
                close = get_close_matches(key, found, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                random = "; nothing in it is random" if key == "seed" else ""
                raise ConfigError(
                    f"study {self.name} has no setting {key!r}{random}; {hint}there are {', '.join(found)}"
                )
            found[key] = _like(f"study {self.name}: {key}", value, found[key])
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

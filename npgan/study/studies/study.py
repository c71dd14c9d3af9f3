"""What a study is: a function of its settings that returns arrays, what is said of them, and how they are drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.study.studies.settings import settled

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
        settings' types. It prints nothing and writes nothing; a long one logs how far it is, under ``npgan.study``.
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
        if "backend" in given and "backend" not in self.defaults():
            raise ConfigError(
                f"study {self.name} has no setting 'backend': its game is a formula on the CPU, with no networks that "
                "could be on a GPU; leave it out"
            )
        return settled(f"study {self.name}", self.defaults(), given)

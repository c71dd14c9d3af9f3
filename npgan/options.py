"""Making a thing from its name and options, with errors that help."""

from __future__ import annotations

import inspect
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, TypeVar

from npgan.errors import ConfigError

T = TypeVar("T")


def _expected(word: object, known: Iterable[str]) -> str:
    known = list(known)
    close = get_close_matches(str(word), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}expected one of {', '.join(known)}" if known else "expected none"


def find(kind: str, table: Mapping[str, T], name: object) -> T:
    """Return ``table[name]``.

    Raises
    ------
    ConfigError
        No such name; the message has the closest one and all of them.
    """
    if not isinstance(name, str) or name not in table:
        raise ConfigError(f"{kind} is {name!r}; {_expected(name, table)}")
    return table[name]


def _parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return what a callable takes; where a class hands ``**others`` on to its base, the base's too."""
    takers: list[Callable[..., Any]] = [factory]
    if isinstance(factory, type):
        takers = [vars(base)["__init__"] for base in inspect.getmro(factory) if "__init__" in vars(base)]
    found: dict[str, inspect.Parameter] = {}
    for taker in takers:
        parameters = inspect.signature(taker).parameters
        named = {k: p for k, p in parameters.items() if p.kind is not p.VAR_KEYWORD and k != "self"}
        found = named | found
        if len(named) == len(parameters) - isinstance(factory, type):
            break
    return found


def make(kind: str, table: Mapping[str, Callable[..., T]], name: object, options: Mapping[str, Any], **given: Any) -> T:
    """Call ``table[name](**given, **options)``.

    Parameters
    ----------
    kind : str
        What the table holds, for messages: ``"loss"``.
    table : mapping of str to callable
        The registry.
    name, options : str, mapping
        What the user asked for.
    **given
        Arguments that are not options: the backend, a size.

    Raises
    ------
    ConfigError
        Unknown name, or an option that the callable does not take or needs and was not given.
    """
    factory = find(kind, table, name)
    parameters = _parameters(factory)
    known = [option for option in parameters if option not in given]
    for option in options:
        if option not in known:
            raise ConfigError(f"{kind} {name!r} has no option {option!r}; {_expected(option, known)}")
    for option in known:
        if parameters[option].default is inspect.Parameter.empty and option not in options:
            raise ConfigError(f"{kind} {name!r} needs the option {option!r}")
    return factory(**given, **options)


def number(
    what: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """Return `value` as a float.

    Raises
    ------
    ConfigError
        Not a number, not finite, or outside the bounds: `least` and `most` belong to the range, `above` and
        `below` do not.
    """
    try:
        found = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if math.isfinite(found) and least <= found <= most and above < found < below:
        return found
    low = f" from {least:g}" if math.isfinite(least) else f" above {above:g}" if math.isfinite(above) else ""
    high = f" to {most:g}" if math.isfinite(most) else f" below {below:g}" if math.isfinite(below) else ""
    raise ConfigError(f"{what} is {value!r}, expected a finite number{low}{high}")


def whole(what: str, value: Any, *, least: int = 0) -> int:
    """Return `value` as an int.

    Raises
    ------
    ConfigError
        Not a whole number, or below `least`.
    """
    with suppress(ConfigError):
        found = number(what, value, least=least)
        if found.is_integer():
            return int(value) if hasattr(value, "__index__") else int(found)  # a float has 53 bits
    raise ConfigError(f"{what} is {value!r}, expected a whole number from {least}")


def toml_value(text: str) -> Any:
    """Return the value that a text is in TOML, such as ``1e-4``, ``true`` or ``[1, 2]``; None where it is none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return None
    return parsed["value"] if len(parsed) == 1 else None  # more: the text has lines

"""Everything that ``npgan gradcheck`` checks: every public layer, container, loss, penalty, and recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from npgan.errors import ConfigError
from npgan.gradcheck.cases import Case, layer_cases
from npgan.gradcheck.chain import ChainFunction
from npgan.gradcheck.functions import NetworkFunction, stir_state
from npgan.gradcheck.maps import Function
from npgan.gradcheck.terms import PenaltyFunction, TermFunction

if TYPE_CHECKING:
    from npgan.layers import Layer
    from npgan.network import Network
    from npgan.recipes import Recipe


@dataclass(frozen=True)
class Subject:
    """One thing to check.

    Attributes
    ----------
    group : str
        What it is selected by: the name of a layer's class, of a loss, a penalty, a recipe.
    kind : {"layer", "container", "loss", "penalty", "network"}
    name : str
        With its settings.
    make : callable
        ``make(backend, dtype, seed)`` returns the function.
    differences : bool
        False where there are so many kinks that differences cross one whatever the point.
    full : int
        Arrays of up to so many elements are checked element by element.
    """

    group: str
    kind: str
    name: str
    make: Callable[[str, str, int], Function]
    differences: bool = True
    full: int = 40


def subjects() -> list[Subject]:
    """Return all of them."""
    return [*_layers(), *_losses(), *_penalties(), *_networks()]


def select(names: list[str]) -> list[Subject]:
    """Return those of these groups, in any case; all where there are no names.

    Raises
    ------
    ConfigError
        A name is of none; the message has the closest.
    """
    found = subjects()
    if not names:
        return found
    groups = {subject.group.lower(): subject.group for subject in found}
    for name in names:
        if name.lower() not in groups:
            close = get_close_matches(name.lower(), groups, 1)
            hint = f"; did you mean {groups[close[0]]}?" if close else ""
            raise ConfigError(
                f"there is nothing to check that is called {name!r}{hint} (there are {', '.join(groups.values())})"
            )
    wanted = {name.lower() for name in names}
    return [subject for subject in found if subject.group.lower() in wanted]


def case_network(case: Case, backend: str, dtype: str, seed: int) -> Network:
    """Return the network of a layer's case."""
    from npgan.network import Network

    return Network(
        [case.layer],
        case.shape,
        condition_shape=() if case.condition_labels else case.condition_shape,
        input_dtype="int64" if case.labels else "float",
        backend=backend,
        dtype=dtype,
        seed=seed,
        name="check",
    )


def _layers() -> Iterator[Subject]:
    from npgan.layers.containers import Container

    for kind, cases in layer_cases().items():
        for case in cases:
            for train in (True, False) if case.both_modes else (True,):
                yield Subject(
                    kind.__name__,
                    "container" if issubclass(kind, Container) else "layer",
                    f"{case.layer!r} on {_text(case.shape)}{'' if train else ', not training'}",
                    _case_maker(case, train),
                )


def _case_maker(case: Case, train: bool) -> Callable[[str, str, int], Function]:
    def make(backend: str, dtype: str, seed: int) -> Function:
        network = case_network(case, backend, dtype, seed)
        stir_state(network, seed)
        return NetworkFunction(network, 3, train=train, below=case.labels, condition_below=case.condition_labels)

    return make


_SETTINGS: dict[str, dict[str, Any]] = {  # of losses that have some, beside their defaults
    "minimax": {"smoothing": 0.1},
    "non-saturating": {"smoothing": 0.1},
    "least-squares": {"a": -1.0, "b": 1.0, "c": 0.0},
}


def _losses() -> Iterator[Subject]:
    from npgan.losses import LOSSES

    def maker(name: str, part: str, weighted: bool, options: dict[str, Any]) -> Callable[[str, str, int], Function]:
        return lambda backend, dtype, seed: TermFunction(name, part, backend, dtype, weighted, options)

    for name in LOSSES:
        for part in ("real", "fake", "generator"):
            yield Subject(name, "loss", f"{name} {part}", maker(name, part, False, {}))
            options = _SETTINGS.get(name, {})
            settings = "".join(f", {key} {value:g}" for key, value in options.items())
            yield Subject(name, "loss", f"{name} {part}, weighted{settings}", maker(name, part, True, options))


def _critics() -> dict[str, tuple[list[Layer], tuple[int, ...]]]:
    """Return the critics that penalties are checked on; those whose name says so have kinks."""
    from npgan.layers import BatchNorm, Conv2d, Dense, Flatten, LayerNorm, LeakyReLU, Softplus, Tanh

    return {
        "tanh": ([Dense(5), Tanh(), Dense(4), Tanh(), Dense(1)], (3,)),
        "convolution, batch norm": (
            [Conv2d(3, 3, stride=2, padding=1), BatchNorm(), Softplus(), Flatten(), Dense(1)],
            (4, 4, 2),
        ),
        "layer norm": ([Dense(5), LayerNorm(), Softplus(), Dense(1)], (3,)),
        "leaky ReLU": ([Conv2d(3, 3, stride=2, padding=1), LeakyReLU(), Flatten(), Dense(1)], (4, 4, 2)),
    }


def _penalties() -> Iterator[Subject]:
    import math

    from npgan.penalties import PENALTIES, get_penalty

    def maker(name: str, critic: str, options: dict[str, Any]) -> Callable[[str, str, int], Function]:
        def make(backend: str, dtype: str, seed: int) -> Function:
            from npgan.network import Network

            layers, shape = _critics()[critic]
            network = Network(layers, shape, backend=backend, dtype=dtype, seed=seed, name="critic")
            return PenaltyFunction(get_penalty(name, **options), network, 4)

        return make

    def subject(name: str, critic: str, **options: Any) -> Subject:
        settings = "".join(f", {key} {value}" for key, value in options.items())
        return Subject(
            name, "penalty", f"{name} on {critic}{settings}", maker(name, critic, options), critic != "leaky ReLU"
        )

    for name in PENALTIES:
        yield subject(name, "tanh")
    for critic in list(_critics())[1:]:
        yield subject("wgan-gp", critic)
        yield subject("r1", critic)
    yield subject("wgan-gp", "tanh", one_sided=True, target=0.2)
    for norm in (1.0, 3.0, math.inf):
        yield subject("gradient-norm", "tanh", norm=norm)


_CLASSES = 3


def _networks() -> Iterator[Subject]:
    from npgan.recipes import RECIPES

    for name, recipe in RECIPES.items():
        for part in ("G", "D", "game"):
            what = {"G": "G", "D": "D", "game": "loss of D(G(z))"}[part]
            # They have kinks by the thousand.
            yield Subject(name, "network", f"{name}: {what}", _recipe_maker(recipe, part), differences=False, full=6)


def _recipe_maker(recipe: Recipe, part: str) -> Callable[[str, str, int], Function]:
    def make(backend: str, dtype: str, seed: int) -> Function:
        from npgan.network import Network

        (G_layers, D_layers), shape = _tiny(recipe)
        labels = _CLASSES if recipe.conditional else None
        functions = {}
        for name, layers, input_shape in (("G", G_layers, (4,)), ("D", D_layers, shape)):
            network = Network(
                layers,
                input_shape,
                condition_shape=None if labels is None else (),
                backend=backend,
                dtype=dtype,
                seed=seed,
                name=name,
            )
            stir_state(network, seed)
            functions[name] = NetworkFunction(network, 3, condition_below=labels)
        if part != "game":
            return functions[part]
        loss = recipe.settings.get("loss", "minimax")
        return ChainFunction(functions["G"], functions["D"], loss, "generator", labels)

    return make


def _tiny(recipe: Recipe) -> tuple[tuple[list[Layer], list[Layer]], tuple[int, ...]]:
    """Return G, D and the shape of a sample: the recipe's networks with all that can be small made small."""
    from npgan.recipes import Fit

    model = {
        key: min(value, 2) if isinstance(value, int) and not isinstance(value, bool) else value
        for key, value in recipe.settings.get("model", {}).items()
    }
    refused: ConfigError | None = None
    for shape in ((16, 16, 1), (2,)):
        try:
            return recipe.build(Fit(shape, _CLASSES if recipe.conditional else None, len(shape) == 3, model)), shape
        except ConfigError as error:  # this recipe makes vectors
            refused = refused or error
    raise ConfigError(f"recipe {recipe.name} cannot be made small for its check: {refused}")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"

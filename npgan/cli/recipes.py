"""``npgan recipes``: what can be trained, and with which settings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from npgan.cli.options import Debug, Json
from npgan.cli.output import say, say_json, say_table


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show the settings and the networks of this one.", show_default=False),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the recipes, or show one with its settings and networks."""
    if name is None:
        _list(as_json)
    else:
        _show(name, as_json)


def _list(as_json: bool) -> None:
    from npgan.recipes import RECIPES

    if as_json:
        say_json(
            [
                {"name": r.name, "summary": r.summary, "paper": r.paper, "conditional": r.conditional}
                for r in RECIPES.values()
            ]
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 1, 0))
    for column in ("recipe", "what it is", "paper"):
        table.add_column(column, header_style="bold", no_wrap=column == "recipe")
    for recipe in RECIPES.values():
        table.add_row(recipe.name, recipe.summary, recipe.paper)
    Console(highlight=False, markup=False).print(table)
    say("Train one with `npgan train RECIPE`; see its settings and networks with `npgan recipes RECIPE`.")


def _show(name: str, as_json: bool) -> None:
    from npgan.backend import get_backend
    from npgan.data import open_dataset
    from npgan.recipes import get_recipe
    from npgan.training.config import Config
    from npgan.training.experiment import Facts, build_networks
    from npgan.training.trainer import resolve

    recipe = get_recipe(name)
    config = resolve(recipe, {})
    dataset = open_dataset(config.data.name, split=config.data.split, random_seed=config.seed)
    networks = build_networks(config, recipe, Facts.of(dataset), get_backend(config.backend))
    if as_json:
        say_json(
            {
                "name": recipe.name,
                "summary": recipe.summary,
                "paper": recipe.paper,
                "conditional": recipe.conditional,
                "settings": config.to_dict(),
                "networks": {network.name: network.summary() for network in networks},
            }
        )
        return
    say_table([("recipe", f"{recipe.name}: {recipe.summary}"), ("paper", recipe.paper)])
    say("\nsettings (change one with --set key=value; * differs from npgan's default)")
    default = dict(_flat(dataclasses.asdict(Config())))
    rows = [row for row in _flat(dataclasses.asdict(config)) if row[0] != "recipe"]
    say_table([(f"{' ' if default.get(key) == value else '*'} {key}", value) for key, value in rows])
    say(f"\nnetworks for {dataset.name}")
    for network in networks:
        say(f"\n{network.summary()}")


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys and values as --set takes them; an empty table is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", "none" if value is None else json.dumps(value)

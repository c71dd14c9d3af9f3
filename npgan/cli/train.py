"""``npgan train``: train a GAN, or go on with a run."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npgan.cli.announce import announcement, answer, report, resume_command
from npgan.cli.options import Backend, BackendName, Debug, Json, Quiet, Threads, duration, setting_option
from npgan.cli.output import say, say_json
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from npgan.training.run import Run
    from npgan.training.trainer import OnStart

_WHAT, _HOW_LONG, _WHERE = "What to train", "How long", "Where it is written"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|CONFIG.toml",
            help="A name that [bold]npgan recipes[/bold] lists (dcgan if none is given), or a file of settings, such "
            "as the config.toml of a run.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="digits, ring-8, grid-25 or spiral; mnist, fashion-mnist or cifar10 (downloaded once); a folder of "
            "images, with or without a sub-folder for each class; an IDX, .npz, .npy, CIFAR-10 .bin or CSV file. "
            "By default the recipe's: digits, and ring-8 for ring.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the files of mnist, fashion-mnist or cifar10 are, instead of downloading them.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        setting_option(
            "Any other setting, such as batch=128, loss=hinge, generator.lr=1e-4 or model.width=64",
            "[bold]npgan recipes NAME[/bold] lists them with their values.",
            _WHAT,
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How the players move: alternating (the default), simultaneous, extragradient, optimistic, consensus, "
            "competitive, unrolled, lookahead, ... (a wrong name lists all); --set rule_options.gamma=0.5 and the like "
            "set what it has of its own.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="S",
            help="Of weights, latents, the order of the data and all else that is random; 0 or more. Default: 0.",
            show_default=False,
            rich_help_panel=_WHAT,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Updates of the generator in all, a resumed run's included; 1 or more. By default the recipe's.",
            show_default=False,
            rich_help_panel=_HOW_LONG,
        ),
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Stop and save after 90, 90s, 10m, 2h or 1h30m, if the last step has not come by then.",
            show_default=False,
            rich_help_panel=_HOW_LONG,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder of the run, which must not exist. Default: runs/RECIPE-DATA, with a number where that "
            "exists.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Go on with the run in this folder from its last checkpoint. Options that are given win over the "
            "saved ones, and what changes is printed.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ] = None,
    backend: Backend = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a GAN and leave its pictures, losses and checkpoints in a folder.

    Ctrl-C saves at the end of the step and says how to go on.
    """
    options = _options(steps, seed, backend, rule, data, data_dir)
    begun = time.monotonic()
    announced: list[Path] = []
    try:
        # With --json standard output is for the answer alone, and what is said on the way goes to standard error.
        with redirect_stdout(sys.stderr if as_json else sys.stdout), ExitStack() as until:
            on_start = announcement(quiet, announced, until)
            if resume is not None:
                if recipe is not None or out is not None:
                    what = "a recipe or config file" if recipe is not None else "--out"
                    raise ConfigError(f"--resume goes on with a run in its own folder; leave {what} out, use --set")
                run = _resume(resume, options, settings or [], max_time, quiet, on_start)
            else:
                run = _train(recipe, options, settings or [], out, max_time, quiet, on_start)
            report(run, time.monotonic() - begun, quiet)
    except KeyboardInterrupt:
        # Before the first step, or pressed a second time by somebody who cannot wait for the end of a step.
        how = f"go on from its last checkpoint: {resume_command(announced[0])}" if announced else "nothing was written"
        say(f"stopped at once; {how}", error=True)
        raise typer.Exit(1) from None
    if as_json:
        say_json(answer(run))
    if run.stopped_by and run.step < run.config.steps:
        raise typer.Exit(1)


def _options(
    steps: int | None,
    seed: int | None,
    backend: BackendName | None,
    rule: str | None,
    data: str | None,
    data_dir: Path | None,
) -> dict[str, Any]:
    """Return the options that were given, nested as in a config file."""
    options: dict[str, Any] = {"steps": steps, "seed": seed, "backend": backend and backend.value, "rule": rule}
    options = {key: value for key, value in options.items() if value is not None}
    where = {"name": data, "dir": None if data_dir is None else str(data_dir)}
    where = {key: value for key, value in where.items() if value is not None}
    return {**options, "data": where} if where else options


def _train(
    argument: str | None,
    options: dict[str, Any],
    settings: list[str],
    out: Path | None,
    max_time: float | None,
    quiet: bool,
    on_start: OnStart,
) -> Run:
    from npgan.recipes import get_recipe
    from npgan.training import trainer
    from npgan.training.config import differences, merge, parse_settings

    given = merge(parse_settings(settings), options)
    saved: dict[str, Any] = {}
    name = "dcgan"
    if argument is not None and _is_config(argument):
        saved = _read_config(Path(argument))
        name = given.pop("recipe", saved.pop("recipe", name))
    elif argument is not None:
        name = argument
        if given.pop("recipe", name) != name:
            raise ConfigError(f"--set recipe=... contradicts the recipe {name}; give one of the two")
    else:
        name = given.pop("recipe", name)
    recipe = get_recipe(name)
    if saved and not quiet:
        say(f"settings of {argument}")
        for line in differences(
            trainer.resolve(recipe, saved), trainer.resolve(recipe, trainer.override(saved, given))
        ):
            say(f"  {line}")
    return trainer.train(
        recipe,
        out=out,
        settings=trainer.override(saved, given),
        max_time=max_time,
        quiet=quiet,
        on_start=on_start,
    )


def _resume(
    run: Path, options: dict[str, Any], settings: list[str], max_time: float | None, quiet: bool, on_start: OnStart
) -> Run:
    from npgan.training import trainer
    from npgan.training.config import merge, parse_settings

    return trainer.resume(
        run,
        settings=merge(parse_settings(settings), options),
        max_time=max_time,
        quiet=quiet,
        say=say,
        on_start=on_start,
    )


def _is_config(argument: str) -> bool:
    """Return whether the argument is a file of settings; a recipe wins over a file of its name."""
    from npgan.recipes import RECIPES

    if argument.endswith(".toml"):
        return True
    path = Path(argument)
    if argument not in RECIPES and path.is_dir():
        raise ConfigError(
            f"{argument} is a folder, expected a recipe or a file of settings; to go on with the run in it use "
            f"--resume {argument}, to train on the images in it use --data {argument}"
        )
    return argument not in RECIPES and path.is_file()


def _read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a file; what a run has recorded beside them is left out."""
    from npgan.training.folder import read_toml

    settings = read_toml(path)
    for record in ("facts", "environment"):
        settings.pop(record, None)
    if not isinstance(settings.get("recipe", ""), str):
        raise ConfigError(f'{path}: recipe is {settings["recipe"]!r}, expected the name of one, such as "dcgan"')
    return settings

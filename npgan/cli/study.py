"""``npgan study``: an experiment on the gradients of the minimax game, with its pictures, numbers and a text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npgan.cli.compiling import compilation_announced
from npgan.cli.options import Backend, Debug, Json, Quiet, Threads, setting_option
from npgan.cli.output import say, say_json, say_table, time_text
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from npgan.study.studies import Study

_WHERE = "Where it is written"


def study(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which study; without one, all are listed.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Repeat the study of this config.toml, with the same bits on the same machine.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        setting_option("A setting, such as lr=0.1 or losses=minimax,hinge", "--show lists them."),
    ] = None,
    backend: Backend = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="S", help="Of all that is random: the same as --set seed=S.", show_default=False),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", metavar="", help="Print the study's settings instead of running it.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder that does not exist. Default: runs/study-NAME, with a number where that exists.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Study the gradients of the minimax game, and leave plots, numbers and a text in a folder."""
    from npgan.options import find
    from npgan.study.studies import STUDIES
    from npgan.study.studies.folder import read_config
    from npgan.study.studies.settings import parse

    given = parse(settings or [])
    for key, value in (("seed", seed), ("backend", None if backend is None else backend.value)):
        if value is not None:
            given[key] = value
    if config is not None:
        chosen, saved, made = read_config(config, STUDIES)
        if name is not None and name != chosen.name:
            raise ConfigError(f"{config} is of the study {chosen.name}, not of {name}; leave the name out")
        given = {**saved, **given}
        if not (quiet or as_json):
            _compare(made, given.get("backend", "cpu"))
    elif name is None:
        _list(STUDIES, as_json)
        return
    else:
        chosen = find("study", STUDIES, name)
    if show:
        _show(chosen, given, as_json)
    else:
        _carry_out(chosen, given, out, quiet, as_json)


def _carry_out(chosen: Study, given: dict[str, Any], out: Path | None, quiet: bool, as_json: bool) -> None:
    from time import perf_counter

    from npgan.study.studies.folder import carry_out, free_folder

    chosen.settings(given)  # before anything is said, made or waited for
    out = free_folder(Path("runs"), f"study-{chosen.name}") if out is None else out
    if not (quiet or as_json):
        say(f"study {chosen.name}: {chosen.summary}")
        say(f"takes about {_about(chosen.seconds)} with its own settings on two cores")
    began = perf_counter()
    try:
        with compilation_announced(quiet=quiet, error=as_json), _progress_said(quiet=quiet, error=as_json):
            written = carry_out(chosen, given, out)
    except KeyboardInterrupt:
        left = f"{out} is not complete" if out.exists() else "nothing was written"
        say(f"stopped at once; {left}", error=True)
        raise typer.Exit(1) from None
    if as_json:
        say_json({"study": chosen.name, "folder": str(written.folder), "files": written.files, "text": written.text})
    elif not quiet:
        say(f"\n{written.text}\n")
        say(f"{written.folder} has {', '.join(written.files)} ({time_text(perf_counter() - began)})")
        say(f"Repeat it with `npgan study --config {written.folder / 'config.toml'}`.")


@contextmanager
def _progress_said(*, quiet: bool, error: bool) -> Iterator[None]:
    """Say what a study logs while in the block."""

    class Sayer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"  {record.getMessage()}", error=error)

    logger, handler = logging.getLogger("npgan.study"), Sayer()
    level = logger.level
    if not quiet:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _about(seconds: float) -> str:
    """Return a time that is roughly known: ``"40 s"``, ``"5 min"``."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _compare(made: dict[str, Any], backend: str) -> None:
    """Say what is not as it was when the config was written."""
    from npgan.backend import get_backend
    from npgan.training.folder import environment, environment_changes

    for line in environment_changes(made, environment(get_backend(backend))) if made else []:
        say(line)


def _list(studies: dict[str, Study], as_json: bool) -> None:
    if as_json:
        say_json([{"name": s.name, "summary": s.summary, "settings": s.defaults()} for s in studies.values()])
        return
    say_table([(s.name, f"{s.summary} (about {_about(s.seconds)})") for s in studies.values()])
    say("\nRun one with `npgan study NAME`; see its settings with `npgan study NAME --show`.")


def _show(chosen: Study, given: dict[str, Any], as_json: bool) -> None:
    values = chosen.settings(given)
    if as_json:
        say_json(values)
        return
    say_table(
        [(key, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)) for key, value in values.items()]
    )

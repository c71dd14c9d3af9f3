"""The program ``npgan``: its commands, and how each ends: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from npgan._version import __version__
from npgan.cli.bench import bench
from npgan.cli.gradcheck import gradcheck
from npgan.cli.info import info
from npgan.cli.options import debugging
from npgan.cli.recipes import recipes
from npgan.cli.sample import sample
from npgan.cli.study import study
from npgan.cli.train import train
from npgan.errors import ConfigError, DTypeError, NpganError

DONE, FAILED, WRONG_USAGE = 0, 1, 2
_INTERRUPTED = 130  # what typer makes of Ctrl-C; `npgan train`, which saves, has 1

app = typer.Typer(
    name="npgan",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # `main` shows errors
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""[bold]Begin with[/bold]
  npgan train                     a DCGAN on small handwritten digits
  npgan sample runs/dcgan-digits  more samples of it
  npgan recipes                   what else can be trained

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage.""",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"npgan {__version__}")
        raise typer.Exit


@app.callback()
def _npgan(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, metavar="", help="Print the version and exit."),
    ] = False,
) -> None:
    """Train GANs with NumPy and CuPy, every derivative by hand."""


_EXAMPLES: dict[Callable[..., None], str] = {
    train: """
  npgan train                                      dcgan on npgan's digits
  npgan train mlp --data mnist --max-time 10m      downloads MNIST once
  npgan train dcgan --data photos/ --set data.image_size=64
  npgan train ring --set loss=wasserstein --set n_critic=5
  npgan train runs/ring-ring-8/config.toml --seed 1
  npgan train --resume runs/ring-ring-8 --steps 20000""",
    sample: """
  npgan sample runs/dcgan-digits                   a grid in that folder
  npgan sample runs/dcgan-digits -n 500 --out pictures/
  npgan sample runs/dcgan-digits --interpolate --out walk.gif
  npgan sample runs/cgan-digits --label 7 --out sevens.npz""",
    recipes: """
  npgan recipes                                    all of them
  npgan recipes dcgan                              its settings and networks""",
    gradcheck: """
  npgan gradcheck                                  everything, in a minute
  npgan gradcheck Conv2d hinge wgan-gp             a layer, a loss, a penalty and a recipe
  npgan gradcheck --dtype float32 --backend gpu
  npgan gradcheck Dense --self-test                can the checks find a fault?""",
    bench: """
  npgan bench steps -k ring                        small steps, in a minute
  npgan bench                                      all training steps
  npgan bench layers -k "conv 4/2" --rounds 41     the recipes' strided layers
  npgan bench all --json now.json --plot now.png   everything, in an hour
  npgan bench compare before.json now.json         what got slower?""",
    study: """
  npgan study                                      all of them
  npgan study dirac                                the smallest GAN, beside its closed forms
  npgan study saturation --set losses=minimax,non-saturating
  npgan study modes --set data=grid-25 --seed 1
  npgan study --config runs/study-dirac/config.toml""",
    info: "",
}

for _command, _examples in _EXAMPLES.items():
    app.command(epilog=f"[bold]Examples[/bold]{_examples}" if _examples else None, no_args_is_help=_command is sample)(
        _command
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the program's name; those of the process by default.

    Raises
    ------
    SystemExit
        Always: 0 done, 1 failed, 2 wrong usage. What went wrong stands on standard error in a line or two, with a
        traceback only under ``--debug`` (or ``NPGAN_DEBUG=1``).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter of a file's name is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        app(args=None if argv is None else list(argv), prog_name="npgan")
    except SystemExit as end:
        sys.exit(FAILED if end.code == _INTERRUPTED else end.code)
    except Exception as error:
        if debugging():
            raise
        print(f"error: {_message(error)}", file=sys.stderr)
        sys.exit(WRONG_USAGE if isinstance(error, ConfigError | DTypeError) else FAILED)
    finally:
        _settle_output()
    sys.exit(DONE)


def _message(error: Exception) -> str:
    if isinstance(error, NpganError):
        return str(error)
    from npgan.backend.device import failure_of

    if (failure := failure_of(error)) is not None:
        return failure
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({error}); take a smaller batch (--set batch=...) or a smaller model"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return (
        f"{type(error).__name__}: {error}\nThis is a bug in npgan. Run the same command with --debug to see where, "
        "and report it with what `npgan info` prints"
    )


def _settle_output() -> None:
    """Drop what standard output holds and cannot write (`npgan recipes | head -3`): Python would complain of it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

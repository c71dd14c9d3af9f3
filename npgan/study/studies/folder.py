"""The folder of a study: its config, every number as JSON, what is seen as a text, and the pictures."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from npgan.backend import get_backend
from npgan.errors import CheckpointError, ConfigError
from npgan.options import find
from npgan.study.studies.study import Study
from npgan.training.folder import environment, read_toml, write_atomically
from npgan.training.pictures import write_gif


@dataclasses.dataclass(frozen=True)
class Written:
    """A study that was carried out.

    Attributes
    ----------
    folder : Path
    files : list of str
        Their names, in the folder.
    text : str
        What is seen.
    """

    folder: Path
    files: list[str]
    text: str


def carry_out(study: Study, settings: Mapping[str, Any], out: Path) -> Written:
    """Run a study and write ``config.toml``, ``numbers.json``, ``text.txt``, a PNG and an SVG a figure, a GIF a film.

    Parameters
    ----------
    study : Study
    settings : mapping
        Those that differ from the defaults.
    out : Path
        A folder that is not there, or is empty.

    Raises
    ------
    ConfigError
        A setting makes no sense, or the folder holds something.
    CheckpointError
        A file cannot be written.
    """
    import matplotlib as mpl

    chosen = study.settings(settings)
    _make(out)
    try:
        result = study.run(**chosen)
    except BaseException:
        with suppress(OSError):
            out.rmdir()
        raise
    text = study.tell(result)
    files = ["config.toml", "numbers.json", "text.txt"]
    write_atomically(out / "config.toml", config_text(study, chosen).encode())
    write_atomically(out / "numbers.json", (json.dumps(plain(result), indent=1, allow_nan=False) + "\n").encode())
    write_atomically(out / "text.txt", (text + "\n").encode())
    # With a salt of its own the marks in an SVG have the same names every time.
    with mpl.rc_context({"svg.hashsalt": "npgan", "svg.fonttype": "path"}):
        for name, figure in study.draw(result).items():
            for kind in ("png", "svg"):
                file = BytesIO()
                figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
                write_atomically(out / f"{name}.{kind}", file.getvalue())
                files.append(f"{name}.{kind}")
        for name, frames in (study.film(result) if study.film else {}).items():
            write_gif(out / f"{name}.gif", frames, 200)
            files.append(f"{name}.gif")
    return Written(out, files, text)


def config_text(study: Study, settings: Mapping[str, Any]) -> str:
    """Return the TOML from which a study can be repeated."""
    import tomli_w

    tables = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    made = environment(get_backend(settings.get("backend", "cpu")))
    return tomli_w.dumps({"study": study.name, "settings": tables, "environment": made})


def read_config(path: Path, studies: Mapping[str, Study]) -> tuple[Study, dict[str, Any], dict[str, Any]]:
    """Return the study, its settings and the environment that a ``config.toml`` holds.

    Raises
    ------
    ConfigError
        The file is not one of a study.
    """
    found = read_toml(path)
    if not isinstance(found.get("study"), str):
        raise ConfigError(f'{path} names no study; expected the config.toml of one, with study = "dirac" or another')
    study = find("study", studies, found["study"])
    settings, made = (found.get(key, {}) for key in ("settings", "environment"))
    if not isinstance(settings, dict) or not isinstance(made, dict):
        raise ConfigError(f"{path}: settings and environment are tables in the config.toml of a study")
    return study, settings, made


def free_folder(parent: Path, name: str) -> Path:
    """Return ``parent/name``, with a number where that exists."""
    path, n = parent / name, 2
    while path.exists():
        path, n = parent / f"{name}-{n}", n + 1
    return path


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ConfigError(f"{out} exists already and nothing is written over; give another folder (--out)")
    except FileExistsError:
        raise ConfigError(f"{out} is a file; give a folder that does not exist (--out)") from None
    except OSError as error:
        raise CheckpointError(f"cannot make the folder {out}: {error.strerror or error}") from error


def plain(value: Any) -> Any:
    """Return a result as JSON has it: complex numbers in two parts, and NaN and infinities as texts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind == "c":
            return {"real": plain(value.real), "imag": plain(value.imag)}
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, complex):
        return {"real": plain(value.real), "imag": plain(value.imag)}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value

"""How the tests use the command line, and small runs that they share."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from npgan.cli import main

SMALL = ("--set", "model.width=8", "--set", "batch=8")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


def run_cli(*arguments: object) -> Result:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    code = stop.value.code
    result = Result(0 if code is None else code, out.getvalue(), err.getvalue())
    assert result.code in (0, 1, 2)
    assert "Traceback" not in result.out + result.err
    if result.code == 0:
        assert "error:" not in result.err
    return result


@pytest.fixture(scope="session")
def cli() -> Callable[..., Result]:
    """Run the command line in this process."""
    return run_cli


def _trained(folder: Path, *arguments: str) -> Path:
    result = run_cli("train", *arguments, "--steps", "2", "--out", folder, "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    return folder


@pytest.fixture(scope="session")
def image_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(tmp_path_factory.mktemp("runs") / "mlp", "mlp", *SMALL)


@pytest.fixture(scope="session")
def plane_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(tmp_path_factory.mktemp("runs") / "ring", "ring", *SMALL)


@pytest.fixture(scope="session")
def class_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = ("--set", "model.channels=2", "--set", "batch=4", "--set", "log.samples=10")
    return _trained(tmp_path_factory.mktemp("runs") / "cgan", "cgan", *sizes)


@pytest.fixture(scope="session")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    rows = [f"{i % 7},{100 + i % 5},{i % 3}" for i in range(40)]
    (folder / "table.csv").write_text("\n".join(['low,"high, in m",third', *rows]) + "\n")
    return _trained(folder / "run", "mlp", *SMALL, "--data", str(folder / "table.csv"))

from __future__ import annotations

import re

import pytest

from npgan import __version__
from npgan.cli import main

OPTIONS = {
    "train": "--data --data-dir --set --seed --steps --max-time --out --resume --backend --quiet --json --debug",
    "sample": "--n --seed --label --interpolate --steps --out --force --backend --quiet --json --debug",
    "info": "--json --debug",
    "recipes": "--json --debug",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help(cli, command):
    result = cli(command, "--help")
    assert result.code == 0
    for option in OPTIONS[command].split():
        assert f" {option} " in result.out
    assert ("Examples" in result.out) == (command != "info")
    assert cli(command, "-h").out == result.out
    assert f" {command} " in cli("--help").out


def test_version(cli):
    assert cli("--version").out == f"npgan {__version__}\n"


@pytest.mark.parametrize(("arguments", "text"), [([], "Usage"), (["trian"], "trian"), (["--sed"], "--sed")])
def test_wrong_usage(cli, arguments, text):
    result = cli(*arguments)
    assert result.code == 2
    assert text in result.out + result.err


def test_debug_shows_where(monkeypatch):
    from npgan.errors import ConfigError

    monkeypatch.setenv("NPGAN_DEBUG", "0")
    with pytest.raises(SystemExit, match="2"):
        main(["recipes", "none"])
    with pytest.raises(ConfigError):
        main(["recipes", "none", "--debug"])
    monkeypatch.setenv("NPGAN_DEBUG", "1")
    with pytest.raises(ConfigError):
        main(["recipes", "none"])


@pytest.mark.parametrize(
    ("name", "base", "said", "message"),
    [
        ("CUDARuntimeError", RuntimeError, "cudaErrorDevicesUnavailable: busy", "the GPU failed: cudaError.*--resume"),
        ("CUBLASError", RuntimeError, "CUBLAS_STATUS_EXECUTION_FAILED", "the GPU failed: CUBLAS.*nvidia-smi"),
        ("OutOfMemoryError", MemoryError, "Out of memory allocating 5 bytes", "memory is full: Out of.*smaller batch"),
        ("CompileException", Exception, "error: expected ;", "CompileException.*This is a bug in npgan"),
    ],
)
def test_what_a_gpu_says_is_told_in_a_line(monkeypatch, capsys, name, base, said, message):
    from npgan import recipes

    error = type(name, (base,), {"__module__": "cupy_backends.cuda.api.runtime"})

    def fail(*args, **kwargs):
        raise error(said)

    monkeypatch.setattr(recipes, "get_recipe", fail)
    monkeypatch.setattr("npgan.cli.recipes.get_recipe", fail, raising=False)
    with pytest.raises(SystemExit, match="1"):
        main(["recipes", "dcgan"])
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert re.search(message, err, re.DOTALL)

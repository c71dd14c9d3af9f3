from __future__ import annotations

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

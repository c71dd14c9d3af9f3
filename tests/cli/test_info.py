from __future__ import annotations

import os
import platform
import sys

import numpy as np

from npgan import __version__


def test_info(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as where it is not installed
    answer = cli("info", "--json").json
    assert (answer["npgan"], answer["python"]) == (__version__, platform.python_version())
    assert answer["packages"]["numpy"] == np.__version__
    assert all(version for name, version in answer["packages"].items() if name != "cupy")
    assert answer["backends"]["cpu"]["available"]
    assert not answer["backends"]["gpu"]["available"]
    assert "npgan[gpu-cuda13]" in answer["backends"]["gpu"]["reason"]
    assert answer["threads"] >= 1

    text = cli("info").out
    for shown in (__version__, np.__version__, platform.python_version(), answer["cpu"], "npgan[gpu-cuda13]"):
        assert shown in text
    for cache in answer["caches"].values():
        assert cache["path"] in text


def test_caches(cli, monkeypatch, tmp_path):
    from npgan.backend import compile

    (tmp_path / "kernels" / "inner").mkdir(parents=True)
    (tmp_path / "kernels" / "a").write_bytes(b"x" * 300)
    (tmp_path / "kernels" / "inner" / "b").write_bytes(b"x" * 1234)
    monkeypatch.setattr(compile, "kernel_cache", lambda: tmp_path / "kernels")
    monkeypatch.setenv("NPGAN_CACHE_DIR", str(tmp_path))
    caches = cli("info", "--json").json["caches"]
    assert caches["kernels"] == {"path": str(tmp_path / "kernels"), "exists": True, "bytes": 1534}
    assert caches["data sets"] == {"path": str(tmp_path / "data"), "exists": False, "bytes": 0}
    assert f"{tmp_path / 'kernels'} (1.5 kB)" in cli("info").out


def test_a_broken_cupy_is_shown(cli, monkeypatch):
    import npgan.backend

    def broken(name):
        if name == "gpu":
            raise RuntimeError("libnvrtc is gone")
        return original(name)

    original = npgan.backend.get_backend
    monkeypatch.setattr(npgan.backend, "get_backend", broken)
    result = cli("info")
    assert result.code == 0
    assert "libnvrtc is gone" in result.out


def test_blas_is_that_of_numpy(cli):
    from threadpoolctl import threadpool_info

    import npgan.cli.info

    mine = [each for each in threadpool_info() if each["user_api"] == "blas" and "numpy" in each["filepath"]]
    if mine:
        assert npgan.cli.info._blas()["version"] == mine[0]["version"]
    assert os.path.isdir(cli("info", "--json").json["location"])

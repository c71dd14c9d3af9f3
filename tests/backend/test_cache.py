"""Where the user's cache lies."""

from pathlib import Path

from npgan.backend.cache import cache_root


def test_the_setting(monkeypatch):
    monkeypatch.setenv("NPGAN_CACHE_DIR", "somewhere")
    assert cache_root() == Path("somewhere")


def test_without_a_setting(monkeypatch):
    for value in (None, ""):
        if value is None:
            monkeypatch.delenv("NPGAN_CACHE_DIR", raising=False)
        else:
            monkeypatch.setenv("NPGAN_CACHE_DIR", value)
        assert cache_root().is_absolute()
        assert "npgan" in str(cache_root())

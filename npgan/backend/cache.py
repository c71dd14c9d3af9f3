"""Where npgan keeps what it need not make twice: compiled kernels, downloaded data."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Return npgan's cache directory: ``NPGAN_CACHE_DIR``, or the user's."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("NPGAN_CACHE_DIR") or user_cache_dir("npgan"))

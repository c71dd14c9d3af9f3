"""The command line: ``npgan train``, ``sample``, ``recipes``, ``gradcheck``, ``bench``, ``study`` and ``info``.

The commands import what is heavy when they run, so that ``npgan --help`` is there at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; see `npgan.cli.app.main`."""
    try:
        from npgan.cli.app import main as run

        run(argv)
    except KeyboardInterrupt:  # before there is anything to say more of, such as while modules are loaded
        sys.exit(1)


__all__ = ["main"]

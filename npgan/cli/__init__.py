"""The command line: ``npgan train``, ``sample``, ``info`` and ``recipes``.

The commands import what is heavy when they run, so that ``npgan --help`` is there at once.
"""

from npgan.cli.app import app, main

__all__ = ["app", "main"]

"""What `.ci/run` needs of the README: its two commands, and a check that commands, links and pictures are real.

`readme.py command tests|train` prints the single-line command under that marker; `readme.py check` runs every
``npgan ... --help`` and looks for every link's file.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def command(which: str) -> str:
    """Return the line of the code block that follows the comment ``<!-- command: WHICH -->``."""
    found = re.search(rf"<!-- command: {which} -->\s*```\w*\n(.+)\n```", README.read_text(encoding="utf-8"))
    if not found:
        sys.exit(f"README.md has no single-line command marked <!-- command: {which} -->")
    return found[1]


def npgan_lines(text: str) -> list[str]:
    """Return the lines of code blocks that call npgan."""
    blocks = re.findall(r"```(?:bash|console|sh)\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.removeprefix("$ ").split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("npgan ")]


def check_command(line: str) -> str | None:
    """Return what is wrong with a line that calls npgan: a sub-command or an option that there is not."""
    words = shlex.split(line)
    npgan = Path(sys.executable).with_name("npgan")
    environment = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run([npgan, words[1], "--help"], capture_output=True, text=True, env=environment, check=False)
    if shown.returncode:
        return f"{line!r}: npgan has no command {words[1]!r}"
    missing = [w for w in words[2:] if w.startswith("--") and w.split("=")[0] not in shown.stdout]
    return f"{line!r}: npgan {words[1]} has no {', '.join(missing)}" if missing else None


def check() -> None:
    """Exit with a list of what is not real."""
    problems: list[str] = []
    for page in [README, ROOT / "CHANGELOG.md", *ROOT.glob("*/README.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text):
            link = target[0] or target[1]
            if not link.startswith(("http://", "https://")) and not (page.parent / link).exists():
                problems.append(f"{page.name}: {link} is not there")
        problems += filter(None, map(check_command, npgan_lines(text)))
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(npgan_lines(README.read_text(encoding='utf-8')))} commands and all links are real")


if __name__ == "__main__":
    if sys.argv[1:2] == ["command"]:
        print(command(sys.argv[2]))
    elif sys.argv[1:] == ["check"]:
        check()
    else:
        sys.exit(__doc__)

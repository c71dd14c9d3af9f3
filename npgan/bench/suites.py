"""The suites, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches

from npgan.backend.base import Backend
from npgan.bench import layers, processes, products, steps
from npgan.bench.contest import Work, contest
from npgan.bench.machine import control, roofline
from npgan.bench.processes import Errand
from npgan.bench.results import Report, Row
from npgan.errors import ConfigError

KERNELS = "kernels"
SUITES: dict[str, Callable[[Backend, Sequence[int]], Sequence[Work | Errand]]] = {
    "steps": steps.works,
    "layers": layers.works,
    "products": products.works,
    "memory": processes.memory,
    "startup": processes.startup,
    "epoch": processes.epoch,
}
"""What is measured, by name; ``kernels`` beside them measures nothing."""


def select(names: Sequence[str], backend: Backend, batches: Sequence[int], words: Sequence[str]) -> list[Work | Errand]:
    """Return the works of some suites whose description has one of the words.

    Parameters
    ----------
    names : sequence of str
        Suites; ``"all"`` is every one.
    backend : Backend
    batches : sequence of int
        Instead of each work's own; empty for those.
    words : sequence of str
        Any of them, in any case; empty for all works.

    Raises
    ------
    ConfigError
        There is no such suite, or nothing is left.
    """
    known = [*SUITES, KERNELS, "all"]
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"there is no suite {name!r}{hint} (there are {', '.join(known)}, and compare)")
    wanted = [name for name in SUITES if name in names or "all" in names]
    found = [work for name in wanted for work in SUITES[name](backend, batches)]
    if not words:
        return found
    left = [work for work in found if matches(title(work), words)]
    if found and not left:
        there = "; ".join(dict.fromkeys(work.group or work.name for work in found))
        raise ConfigError(f"no work has {' or '.join(map(repr, words))} in its name (there are {there})")
    return left


def title(work: Work | Errand) -> str:
    """Return suite, group and name as they are printed, and as `select` looks into them."""
    return f"{work.suite}, {f'{work.group}: ' if work.group else ''}{work.name}"


def matches(text: str, words: Sequence[str]) -> bool:
    """Return whether a text has one of the words, in any case, or there are none."""
    return not words or any(word.lower() in text.lower() for word in words)


def run(
    works: Sequence[Work | Errand],
    backend: Backend,
    report: Report,
    *,
    rounds: int,
    peers: bool,
    say: Callable[[str], None],
) -> Iterator[Row]:
    """Measure, and yield each row when it is in the report.

    Parameters
    ----------
    works : sequence
    backend : Backend
    report : Report
        Gets the roofline, the control and the rows.
    rounds : int
    peers : bool
        Time others than npgan.
    say : callable
        Is told what is being done.
    """
    fixed = control()
    if any(isinstance(work, Work) for work in works):
        say("the machine's peaks")
        report.roofline = roofline(backend, min(rounds, 7))
    for i, work in enumerate(works, 1):
        say(f"{i} of {len(works)}: {title(work)}")
        if isinstance(work, Errand):
            row = work.measure(rounds, peers)
        else:
            compute = getattr(backend, "compute", "")
            row, seconds = contest(work, rounds, peers=peers, control=fixed, compute=compute)
            if seconds:
                report.control.append(list(seconds))
        report.rows.append(row)
        yield row

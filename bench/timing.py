"""Timing that survives a noisy machine: contestants take turns within each round, and ratios are of medians."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def interleaved(
    contestants: dict[str, Callable[[], object]], rounds: int = 21, warm_up: int = 3
) -> dict[str, np.ndarray]:
    """Return seconds of every call, by contestant; each round calls every one once, in changing order."""
    names = list(contestants)
    for name in names:
        for _ in range(warm_up):
            contestants[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contestants[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(each) for name, each in seconds.items()}


def table(title: str, seconds: dict[str, np.ndarray], ours: str = "npgan") -> str:
    """Return medians, quartiles, and how many times as long as `ours` each one takes."""
    lines = [title, f"  {'':<16}{'median':>12}{'quartiles':>22}{'times ' + ours:>14}"]
    mine = np.median(seconds[ours])
    for name, each in seconds.items():
        low, middle, high = np.percentile(each, [25, 50, 75]) * 1e3
        lines.append(f"  {name:<16}{middle:>9.2f} ms{f'{low:.2f} - {high:.2f} ms':>22}{middle / 1e3 / mine:>13.2f}x")
    return "\n".join(lines)

"""``npgan gradcheck``: every derivative against every way of knowing it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npgan.cli.compiling import compilation_announced
from npgan.cli.options import COMPUTING, BackendName, Debug, Json, Threads
from npgan.cli.output import say, say_json, time_text

if TYPE_CHECKING:
    from npgan.gradcheck.report import Row
    from npgan.gradcheck.selftest import Score
    from npgan.gradcheck.suite import Line


class Precision(StrEnum):
    """What to compute in."""

    float64 = "float64"
    float32 = "float32"


def gradcheck(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME ...]", help="Layers, losses, penalties, recipes; all of them by default.", show_default=False
        ),
    ] = None,
    backend: Annotated[
        BackendName, typer.Option("--backend", help="Where to compute.", rich_help_panel=COMPUTING)
    ] = BackendName.cpu,
    dtype: Annotated[
        Precision,
        typer.Option("--dtype", help="float32 is compared with float64.", rich_help_panel=COMPUTING),
    ] = Precision.float64,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of weights, points and directions.", rich_help_panel=COMPUTING)
    ] = 0,
    threads: Threads = None,
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test", metavar="", help="Plant faults into the layers; every one must be found (minutes)."
        ),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check every derivative of layers, containers, losses, penalties and whole networks.

    Exit code 1 where one falls short.
    """
    from npgan.gradcheck.subjects import select

    chosen = select(names or [])
    with compilation_announced(quiet=backend != BackendName.cpu, error=as_json):
        if self_test:
            ok = _self_test({subject.group for subject in chosen} if names else None, seed, as_json)
        else:
            ok = _suite(chosen, backend.value, dtype.value, seed, as_json)
    if not ok:
        raise typer.Exit(1)


def _suite(chosen: list[Any], backend: str, dtype: str, seed: int, as_json: bool) -> bool:
    from npgan.backend import get_backend
    from npgan.gradcheck.suite import run, summary

    get_backend(backend)  # where there is none, say so before anything else
    begun = time.monotonic()
    found: list[Line] = []
    notes: dict[str, list[str]] = {}
    for subject, (lines, said) in zip(chosen, run(chosen, backend=backend, dtype=dtype, seed=seed), strict=True):
        found += lines
        if said:
            notes[subject.name] = said
    seconds = time.monotonic() - begun
    ok = all(line.ok for line in found)
    totals = summary(found)
    if as_json:
        say_json(
            {
                "ok": ok,
                "backend": backend,
                "dtype": dtype,
                "seed": seed,
                "seconds": seconds,
                "checks": [_line_dict(line) for line in found],
                "summary": [
                    dict(zip(("order", "method", "error", "tolerance"), total, strict=True)) for total in totals
                ],
                "notes": notes,
            }
        )
        return ok
    _print_lines(found)
    for line in found:
        for failure in line.failures():
            say(failure)
    say()
    _print_rows(
        ("", "by", "worst error", "tolerance"),
        [(order, method, _number(error), _number(allowed)) for order, method, error, allowed in totals],
    )
    wrong = sum(not line.ok for line in found)
    verdict = "all agree" if ok else f"{wrong} of them wrong"
    say(f"\n{len(found)} checks of {len(chosen)} subjects on {backend} in {dtype}: {verdict}, in {time_text(seconds)}")
    return ok


def _line_dict(line: Line) -> dict[str, Any]:
    return {
        "subject": line.subject.name,
        "group": line.subject.group,
        "kind": line.subject.kind,
        "map": line.map,
        "ok": line.ok,
        "seconds": line.seconds,
        "reproduce": line.reproduce,
        "rows": [_row_dict(row) for row in line.rows],
    }


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "method": row.method,
        "place": row.place,
        "found": row.found,
        "expected": row.expected,
        "error": row.error,
        "tolerance": row.tolerance,
        "scale": row.scale,
        "ok": row.ok,
    }


def _print_lines(found: list[Line]) -> None:
    rows = []
    before = ""
    for line in found:
        row = line.worst
        name = line.subject.name if line.subject.name != before else ""
        before = line.subject.name
        contract = line.map == "contract"
        error = f"{sum(r.ok for r in line.rows)} of {len(line.rows)}" if contract else _number(row.error)
        allowed = "" if contract else _number(row.tolerance / row.scale if row.scale else 0.0)
        method = "clauses" if contract else row.method
        rows.append((name, line.map, "ok" if line.ok else "WRONG", error, allowed, method, f"{line.seconds:.2f}"))
    _print_rows(("subject", "map", "", "worst error", "tolerance", "by", "seconds"), rows)


def _print_rows(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in header:
        right = column in ("worst error", "tolerance", "seconds", "caught", "planted", "no effect")
        table.add_column(column, header_style="bold", justify="right" if right else "left", no_wrap=column != "subject")
    for row in rows:
        table.add_row(*row, style="red" if "WRONG" in row else None)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 160  # a file has no edge to break lines at
    console.print(table)


def _number(value: float) -> str:
    return f"{value:.1e}" if math.isfinite(value) else str(value)


def _self_test(groups: set[str] | None, seed: int, as_json: bool) -> bool:
    from npgan.gradcheck.selftest import self_test

    begun = time.monotonic()
    scores = list(self_test(groups, seed=seed))
    seconds = time.monotonic() - begun
    planted, caught = sum(score.planted for score in scores), sum(score.caught for score in scores)
    if as_json:
        say_json(
            {
                "ok": planted == caught,
                "seed": seed,
                "seconds": seconds,
                "planted": planted,
                "caught": caught,
                "layers": [_score_dict(score) for score in scores],
            }
        )
        return planted == caught
    rows = [
        (
            score.group if score.group == score.kind else f"{score.group} ({score.kind})",
            str(score.caught),
            str(score.planted),
            str(score.idle),
            f"{score.seconds:.1f}",
            ", ".join(f"{method} {count}" for method, count in score.found_by.items()),
        )
        for score in scores
    ]
    _print_rows(("layer", "caught", "planted", "no effect", "seconds", "found first by"), rows)
    for score in scores:
        for survivor in score.survivors:
            say(f"not found: {survivor}")
    say(f"\n{caught} of {planted} planted faults were found, in {time_text(seconds)}")
    return planted == caught


def _score_dict(score: Score) -> dict[str, Any]:
    return {
        "layer": score.group,
        "class": score.kind,
        "planted": score.planted,
        "caught": score.caught,
        "no_effect": score.idle,
        "survivors": score.survivors,
        "found_by": score.found_by,
        "seconds": score.seconds,
    }

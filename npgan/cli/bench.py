"""``npgan bench``: measurements beside PyTorch, JAX and plain NumPy, and comparisons of two of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from npgan.cli.options import COMPUTING, PRINTING, BackendName, Debug
from npgan.cli.output import say
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from npgan.backend.base import Backend
    from npgan.bench.results import Report, Row

_WIDTH = 100
_NOISY = 1.1  # the control's spread within a row from which a warning is due


def bench(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUITE ...] | compare A.json B.json",
            help="What to measure: one or more suites, or all; steps by default. Or compare, and two files of --json.",
            show_default=False,
        ),
    ] = None,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-k",
            metavar="TEXT",
            help="Measure only what has this in its name; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How many turns each contestant has.")] = 21,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Samples a batch, instead of each row's own.", show_default=False),
    ] = None,
    backend: Annotated[
        BackendName, typer.Option("--backend", help="Where to compute.", rich_help_panel=COMPUTING)
    ] = BackendName.cpu,
    peers: Annotated[
        bool,
        typer.Option("--peers/--no-peers", metavar="", help="Time PyTorch, JAX and plain NumPy beside npgan."),
    ] = True,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="Write everything as JSON.", rich_help_panel=PRINTING, show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw the speed-ups, as .png, .svg or .pdf.",
            rich_help_panel=PRINTING,
            show_default=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Measure npgan beside PyTorch, JAX and plain NumPy on this machine; or compare two measurements.

    [bold]steps[/bold] are whole training steps;
    [bold]layers[/bold] are the recipes' layers, one by one;
    [bold]products[/bold] are those with Hessians and with the Jacobian of a game;
    [bold]memory[/bold] is the peak of a step;
    [bold]startup[/bold] is the time to the end of the first step;
    [bold]epoch[/bold] is one of a DCGAN on 60,000 pictures, with data and log;
    [bold]kernels[/bold] says which algorithm each layer gets, and measures nothing.

    Whoever is installed takes part. All must agree in float64 before they
    are timed, and then take turns: a minute for "-k ring", half an hour for
    all steps.

    Exit code 1 where one does not agree, and where compare finds something slower.
    """
    words = what or ["steps"]
    if words[0] == "compare":
        if len(words) != 3:
            raise ConfigError(f"compare takes two files, and {len(words) - 1} came: npgan bench compare A.json B.json")
        ok = _compare(*map(Path, words[1:]))
    else:
        ok = _measure(words, filter or [], rounds, batch or [], backend.value, peers, json_file, plot)
    if not ok:
        raise typer.Exit(1)


def _measure(
    names: Sequence[str],
    words: Sequence[str],
    rounds: int,
    batches: Sequence[int],
    where: str,
    peers: bool,
    json_file: Path | None,
    plot: Path | None,
) -> bool:
    from npgan.backend import get_backend
    from npgan.bench.machine import about
    from npgan.bench.plot import check_path, speedup_plot
    from npgan.bench.results import Report
    from npgan.bench.suites import KERNELS, run, select

    for path in (json_file, plot):
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
    if plot is not None:
        check_path(plot)
    backend = get_backend(where)
    works = select(names, backend, batches, words)
    report = Report(about(backend, _command(names, words, rounds, batches, where, peers)))
    ok, seen = True, 0
    try:
        if KERNELS in names or "all" in names:
            _kernels(backend, batches, words, report)
        for row in run(works, backend, report, rounds=rounds, peers=peers, say=lambda text: say(text, error=True)):
            if json_file is not None:
                report.save(json_file)
            if row.refused:
                ok = False
                say(f"WRONG {row.suite}, {row.title}: {row.refused}; not timed", error=True)
            if len(report.rows) == len(works) or works[len(report.rows)].suite != row.suite:
                _print_suite(report.rows[seen:], report)
                seen = len(report.rows)
        report.complete = True
    except KeyboardInterrupt:
        _print_suite(report.rows[seen:], report)
        say("interrupted: what is above was measured, the rest was not", error=True)
        ok = False
    _print_end(report)
    if json_file is not None:
        report.save(json_file)
    if plot is not None and (report.complete or report.rows):
        speedup_plot(report, plot)
    return ok


def _command(
    names: Sequence[str], words: Sequence[str], rounds: int, batches: Sequence[int], where: str, peers: bool
) -> str:
    """Return the command that does this again, with what was left to the defaults."""
    options = [*names, "--rounds", str(rounds), "--backend", where, "--peers" if peers else "--no-peers"]
    options += [part for word in words for part in ("--filter", word)]
    options += [part for batch in batches for part in ("--batch", str(batch))]
    return shlex.join(["npgan", "bench", *options])


def _kernels(backend: Backend, batches: Sequence[int], words: Sequence[str], report: Report) -> None:
    from npgan.bench.algorithms import algorithms
    from npgan.bench.suites import matches

    found = [
        each for each in algorithms(backend, batches) if matches(f"kernels, {each['group']}: {each['layer']}", words)
    ]
    report.algorithms = found
    rows: list[tuple[str, ...]] = []
    for i, each in enumerate(found):
        if i == 0 or found[i - 1]["group"] != each["group"]:
            rows.append((each["group"], "", ""))
        rows.append((f"  {each['layer']}", each["algorithm"], each["why"]))
    say("kernels: the algorithm of each layer's products\n")
    _table(("layer", "algorithm", "why"), rows, numbers=False)


def _print_suite(rows: Sequence[Row], report: Report) -> None:
    from npgan.bench.results import OURS, PEERS, contestants

    if not rows:
        return
    peers = [name for name in contestants(rows) if name != OURS]
    legend = ": npgan's median, and how many times as much the others take (above 1x npgan is ahead)" if peers else ""
    say(f"\n{rows[0].suite}{legend}\n")
    rates = any(row.flops or row.nbytes for row in rows)
    counted = any(row.gradient is not None for row in rows)
    extra = (*(("gradients",) if counted else ()), *(("rate", "peak") if rates else ()))
    header = ("work", "npgan", "quartiles", *extra, *peers)
    lines: list[tuple[str, ...]] = []
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append((group, *[""] * (len(header) - 1)))
        name = f"  {row.name}" if group else row.name
        if OURS not in row.samples:
            lines.append((name, "WRONG", *[""] * (len(header) - 2)))
            continue
        ours = row.samples[OURS]
        lines.append(
            (
                name,
                _amount(ours.median, row.unit),
                _quartiles(ours.quartiles, ours.median, row.unit),
                *((_ratio(row.gradients),) if counted else ()),
                *(_rate(row, report) if rates else ()),
                *(_ratio(row.ratio(peer)) for peer in peers),
            )
        )
    _table(header, lines)
    reasons: dict[str, str] = {}
    for row in rows:
        for name, reason in row.left_out.items():
            reasons.setdefault(f"{PEERS.get(name, name)} is left out: {reason}", row.title)
    said = [f"{text} (first at {where})" for text, where in reasons.items()]
    if counted:
        said.insert(0, "gradients: how many times as long as one gradient of both players in training it takes")
    if said:
        say("\n" + "\n".join(said))


def _print_end(report: Report) -> None:
    if report.roofline:
        gemm, copy = report.roofline["gemm"], report.roofline["copy"]
        say(f"\npeaks of this machine: matrix product {gemm / 1e9:.0f} GFLOP/s, copy {copy / 1e9:.1f} GB/s, float32")
        say("rate: operations of the direct algorithm (Winograd does with fewer), or bytes moved, a second")
    if report.spread is not None and report.spread_within is not None:
        over, within = (100 * (spread - 1) for spread in (report.spread, report.spread_within))
        say(f"the control, one product of NumPy's, varied by {over:.0f}% over the run, {within:.0f}% within a row")
        if report.spread_within > _NOISY:
            say(f"noisy: distrust ratios under {report.spread_within:.2f}")


def _compare(first: Path, second: Path) -> bool:
    from npgan.bench.compare import compare
    from npgan.bench.results import load

    found = compare(load(first), load(second))
    if not found.changes and not found.refused:
        raise ConfigError(f"{first} and {second} have no row in common; run the same suites in both")
    for remark in found.remarks:
        say(f"note: {remark}")
    rows = [
        (
            f"{change.row.suite}, {change.row.title}",
            _amount(change.before.median, change.row.unit),
            _amount(change.after.median, change.row.unit),
            f"{change.ratio:.3f}",
            f"{change.noise:.2f}",
            change.verdict,
        )
        for change in found.changes
    ]
    _table(("work", "before", "after", "ratio", "noise", ""), rows)
    for row in found.refused:
        say(f"WRONG {row.suite}, {row.title}: {row.refused}")
    for which, names in (("first", found.only_before), ("second", found.only_after)):
        if names:
            say(f"only in the {which}: {len(names)} rows, such as {names[0]}")
    worse = sum(change.regressed for change in found.changes) + len(found.refused)
    say("\nratio: npgan's median after / before; what is nearer to 1 than the noise means nothing")
    say(f"{worse} of {len(found.changes) + len(found.refused)} worse by more than the noise of both")
    return found.ok


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> None:
    """Print names and numbers, where the names may be broken, or texts, where the last column may be."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for i, column in enumerate(header):
        breaks = i == 0 if numbers else i == len(header) - 1
        justify: Literal["left", "right"] = "right" if numbers and i else "left"
        table.add_column(column, header_style="bold", justify=justify, no_wrap=not breaks, overflow="fold")
    for row in rows:
        bad = any(word in row for word in ("WRONG", "SLOWER", "MORE"))
        table.add_row(*row, style="red" if bad else "bold" if not any(row[1:]) else None)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)


def _amount(value: float, unit: str) -> str:
    scale, name = _scale(value, unit)
    return f"{_three(value / scale)} {name}"


def _quartiles(pair: tuple[float, float], median: float, unit: str) -> str:
    scale, _ = _scale(median, unit)
    return "-".join(_three(value / scale) for value in pair)


def _scale(value: float, unit: str) -> tuple[float, str]:
    if unit == "bytes":
        return 1e6, "MB"
    return next(((scale, name) for scale, name in ((1.0, "s"), (1e-3, "ms")) if value >= scale), (1e-6, "us"))


def _three(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _rate(row: Row, report: Report) -> tuple[str, str]:
    """Return effective operations, or bytes, a second, and the part of this machine's peak."""
    from npgan.bench.results import OURS

    seconds = row.samples[OURS].median
    if row.flops:
        rate, unit, peak = row.flops / seconds, "GF/s", report.roofline.get("gemm")
    elif row.nbytes:
        rate, unit, peak = row.nbytes / seconds, "GB/s", report.roofline.get("copy")
    else:
        return "", ""
    return f"{_three(rate / 1e9)} {unit}", f"{100 * rate / peak:.0f}%" if peak else ""


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{_three(ratio)}x"

"""A network as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npgan.network.network import Network


def summary(network: Network) -> str:
    """Return a table of the layers: place, kind, output of one sample, weights."""
    counts: dict[str, int] = {}
    for path, (start, stop) in network.layout.ranges().items():
        place = path.rpartition("/")[0]
        counts[place] = counts.get(place, 0) + stop - start
    rows = [("layer", "", "output", "weights"), ("input", "", str(network.input_shape), "")]
    for path, layer, shape in network.rows:
        rows.append((path, repr(layer), str(shape), f"{counts[path]:,}" if path in counts else ""))
    rows.append(("total", "", "", f"{network.size:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows]
    rule = "-" * max(map(len, lines))
    title = f"{network.name}: {network.dtype.name} on {network.backend.name}"
    return "\n".join([title, lines[0], rule, *lines[1:-1], rule, lines[-1]])

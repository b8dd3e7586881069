"""The document: tables for people."""

from __future__ import annotations

from side_by_side.markdown import table

from .measure import Cell, Settings

_INTRODUCTION = """\
How long it takes until the last of {leechers} machines has a file that one machine has, and how much that one sends. Each machine is
behind a link of {rate:g} Mbit/s, either way; all arrive together. `benches/lan/run` writes this page; the same figures stand in
lan.json, round by round.

*Last* is when the last machine has the file, complete and checked, as a multiple of the link time of one copy (the file's bits
by the link's rate, {times}). Nothing can be faster than 1; the heads of Ethernet, IP and TCP make it 1.05. Who
sends everybody a copy needs {leechers}. *Copies* are the bytes that left the source's machine by the file's size. Both are medians;
the range of the rounds follows in brackets."""

_GOAL = """\
The goal: the tracker's web seed is not worse than nginx's. Of {figures}, it is better or within 5 % in {met}."""

_METHOD = """\
    {command}

Every machine is a network namespace on one bridge, with `tc tbf` on both ends of its cable. The tracker that the clients ask
is ours in all rows, and runs on the source's machine. The leechers are libtorrent with its own settings, without DHT and local
discovery, and stay as seeders; or curl. All have the .torrent when the time begins. Each run makes a new network, starts
everything afresh, and compares the SHA-256 of each copy with the file's. nginx has Debian's settings, without an access log.
Rows take turns, each round beginning with another one. Without BitTorrent, a larger file takes as many link times: it is left
out.

*Busy* is the share of the machine's processors that was in use: near 100 %, they were the limit and not the links."""


def document(
    cells: list[Cell], settings: Settings, machine: dict[str, str], versions: dict[str, str], command: str
) -> str:
    """All of it, as Markdown."""
    sizes = sorted({cell.size for cell in cells})
    times = ", ".join(f"{size * 8 / (settings.mbit * 1e6):g} s for {size / 1e6:g} MB" for size in sizes)
    parts = [
        "# One file to many machines",
        _INTRODUCTION.format(leechers=settings.leechers, rate=settings.mbit, times=times),
        "![When the last machine has the file](lan.svg)",
        *(part for size in sizes for part in _section(size, cells, settings)),
        *_goal(cells, settings),
        *_failures(cells),
        "## How it was measured",
        _METHOD.format(command=command),
        table(["machine", ""], [[name, value] for name, value in {**machine, **versions}.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _section(size: int, cells: list[Cell], settings: Settings) -> list[str]:
    link_time = size * 8 / (settings.mbit * 1e6)
    rows = []
    for cell in cells:
        if cell.size != size:
            continue
        lasts = [sample.seconds[-1] / link_time for sample in cell.samples]
        copies = [sample.sent / size for sample in cell.samples]
        firsts = [sample.seconds[0] / link_time for sample in cell.samples]
        busy = [sample.busy for sample in cell.samples]
        piece = cell.samples[0].piece_length if cell.samples else None
        name = f"**{cell.source.name}**" if cell.source.kind == "ours" else cell.source.name
        pieces = f"{piece // 1024} KiB" if piece else ""
        rows.append([name, pieces, _cell(firsts), _cell(lasts), _cell(copies), f"{max(busy):.0%}" if busy else "–"])
    return [f"## {size / 1e6:g} MB", table(["source", "pieces", "first", "last", "copies", "busy"], rows)]


def _cell(values: list[float]) -> str:
    if not values:
        return "–"
    values = sorted(values)
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return f"{middle:.2f} ({values[0]:.2f}–{values[-1]:.2f})" if len(values) > 1 else f"{middle:.2f}"


def _goal(cells: list[Cell], settings: Settings) -> list[str]:
    """Each figure of our web seed beside that of nginx's."""
    pairs = []
    for ours in cells:
        theirs = [cell for cell in cells if cell.source.key == "nginx-web-seed" and cell.size == ours.size]
        if ours.source.key == "web-seed" and ours.samples and theirs and theirs[0].samples:
            pairs.append((ours.last(settings.mbit) or 0.0, theirs[0].last(settings.mbit) or 0.0))
            pairs.append((ours.copies() or 0.0, theirs[0].copies() or 0.0))
    if not pairs:
        return []
    met = sum(ours <= 1.05 * theirs for ours, theirs in pairs)
    figures = "one figure" if len(pairs) == 1 else f"{len(pairs)} figures"
    return [_GOAL.format(figures=figures, met="all" if met == len(pairs) else str(met))]


def _failures(cells: list[Cell]) -> list[str]:
    lines = [f"- {cell.source.name}, {cell.size / 1e6:g} MB: {text}" for cell in cells for text in cell.failures]
    return ["Not measured:", "\n".join(lines)] if lines else []

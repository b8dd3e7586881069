"""The document: tables for people."""

from __future__ import annotations

from side_by_side.markdown import table

from .measure import Cell, Settings, Setup
from .sources import CLIENT_NAMES, MIXED, Client

_INTRODUCTION = """\
How long it takes until the last of several machines has a file that one machine has, and how much that one sends. Each machine is
behind a link of the same rate, either way; all arrive together. `benches/lan/run` writes this page; the same figures stand in
lan.json, round by round.

*Last* is when the last machine has the file, complete and checked, as a multiple of the link time of one copy: the file's bits by
the link's rate. *Bound* is the least that is possible where whole pieces are passed on: 1 + ⌊log₂ N⌋/P for N machines and P
pieces, and 4.6 % for the heads of Ethernet, IP and TCP. Who sends everybody a copy needs N. *Copies* are the bytes that left the
source's machine by the file's size. Both are medians; the range of the rounds follows in brackets."""

_METHOD = """\
    {command}

Every machine is a network namespace on one bridge, with `tc tbf` on both ends of its cable. The tracker that the clients ask
is ours in all rows, and runs on the source's machine. The clients have their own settings, without DHT and local discovery, and
stay as seeders. All have the .torrent when the time begins, and its pieces are as long as make-torrent makes them. Each run makes
a new network, starts everything afresh, and compares the SHA-256 of each copy with the file's. nginx has Debian's settings, without
an access log. Rows take turns, each round beginning with another one. Without BitTorrent, a larger file takes as many link times:
it is left out.

*Busy* is the share of the time for which the busiest processor was in use, at most: near 100 %, it was the limit and not the links.
A run is void, and made again, where that was more than {busy:.0%}: up to three times in a round, and once in later ones of a row that
had only void runs so far.{void}"""

_GOALS: list[tuple[Client, int, float, float | None]] = [
    ("libtorrent", 100, 1.3, 1.15),
    ("libtorrent", 25, 1.6, 1.2),
    ("libtorrent-tcp", 100, 1.2, None),
    ("libtorrent-tcp", 25, 1.35, None),
    ("qbittorrent", 100, 2.0, None),
    ("qbittorrent", 25, 2.0, None),
    ("qbittorrent-tcp", 100, 1.4, None),
    ("qbittorrent-tcp", 25, 1.4, None),
]
"""For ten at 40 Mbit/s and a file of so many MB: when the last one has it at the latest, and how many copies are sent at most."""
_GOAL_LEECHERS, _GOAL_MBIT = 10, 40
_NEAR = 1.05
"""How much worse may be called as good."""


def document(cells: list[Cell], settings: Settings, machine: dict[str, str], versions: dict[str, str], command: str) -> str:
    """All of it, as Markdown."""
    setups = list(dict.fromkeys(cell.setup for cell in cells))
    parts = [
        "# One file to many machines",
        _INTRODUCTION,
        "![When the last machine has the file](lan.svg)",
        *(part for setup in setups for part in _section(setup, [cell for cell in cells if cell.setup == setup])),
        *_goals(cells),
        *_failures(cells),
        "## How it was measured",
        _METHOD.format(command=command, busy=settings.busy, void=_void(cells)),
        table(["machine", ""], [[name, value] for name, value in {**machine, **versions}.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _section(setup: Setup, cells: list[Cell]) -> list[str]:
    title = f"## {setup.size / 1e6:g} MB to {setup.leechers} machines at {setup.mbit:g} Mbit/s"
    parts = [title, f"One copy takes {setup.link_time:g} s."]
    for client in dict.fromkeys(cell.client for cell in cells):
        rows = [_row(cell) for cell in cells if cell.client == client]
        columns = ["source", "pieces", "first", "last", "bound", "copies", "busy"]
        parts.append(f"### To {CLIENT_NAMES[client]}")
        parts.append(table(columns, rows))
        if client == "mixed":
            parts.append("When the last machine with each program has it:")
            parts.append(table(["source", *MIXED], [_mixed_row(cell) for cell in cells if cell.client == client]))
    return parts


def _row(cell: Cell) -> list[str]:
    link_time, samples = cell.setup.link_time, cell.samples
    piece = samples[0].piece_length if samples else None
    bound = cell.bound()
    return [
        _name(cell),
        f"{piece // 1024} KiB" if piece else "",
        _figure([sample.seconds[0] / link_time for sample in samples]),
        _figure([sample.seconds[-1] / link_time for sample in samples]),
        f"{bound:.2f}" if bound else "",
        _figure([sample.sent / cell.setup.size for sample in samples]),
        f"{max(sample.busy for sample in samples):.0%}" if samples else "–",
    ]


def _mixed_row(cell: Cell) -> list[str]:
    link_time = cell.setup.link_time
    return [_name(cell), *(_figure([sample.by_program[program] / link_time for sample in cell.samples]) for program in MIXED)]


def _name(cell: Cell) -> str:
    return f"**{cell.source.name}**" if cell.source.kind == "ours" else cell.source.name


def _figure(values: list[float]) -> str:
    if not values:
        return "–"
    values = sorted(values)
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return f"{middle:.2f} ({values[0]:.2f}–{values[-1]:.2f})" if len(values) > 1 else f"{middle:.2f}"


def _goals(cells: list[Cell]) -> list[str]:
    """What is demanded of the tracker, and what came out."""
    measured = {(cell.source.key, cell.client, cell.setup): cell for cell in cells if cell.samples}
    rows = []
    for client, megabytes, last, copies in _GOALS:
        setup = Setup(_GOAL_LEECHERS, _GOAL_MBIT, megabytes * 10**6)
        ours = measured.get(("tracker", client, setup))
        if ours:
            rows.append(_goal(f"{CLIENT_NAMES[client]}, {megabytes} MB: last", ours.last(), last))
            rows += [_goal(f"{CLIENT_NAMES[client]}, {megabytes} MB: copies", ours.copies(), copies)] if copies else []
    for (key, client, setup), ours in measured.items():
        other = {"tracker": "seed", "web-seed": "nginx-web-seed"}.get(key)
        theirs = measured.get((other, client, setup)) if other else None
        if not theirs:
            continue
        where = f"{setup.leechers} at {setup.mbit:g} Mbit/s, {setup.size / 1e6:g} MB"
        if client == "mixed":
            for program in MIXED:
                text = f"{program} among others, {where}: last, beside a libtorrent seed"
                rows.append(_goal(text, ours.last_of(program), _NEAR * (theirs.last_of(program) or 0.0)))
        elif key == "web-seed":
            rows.append(_goal(f"web seed, {where}: last, beside nginx's", ours.last(), _NEAR * (theirs.last() or 0.0)))
            rows.append(_goal(f"web seed, {where}: copies, beside nginx's", ours.copies(), _NEAR * (theirs.copies() or 0.0)))
    return ["## Goals", table(["goal", "at most", "measured", ""], rows)] if rows else []


def _goal(text: str, measured: float | None, most: float) -> list[str]:
    measured = measured or 0.0
    return [text, f"{most:.2f}", f"{measured:.2f}", "met" if measured <= most else "**missed**"]


def _failures(cells: list[Cell]) -> list[str]:
    # Most of them are the same in each round.
    lines = dict.fromkeys(f"- {cell.name()}: {text}" for cell in cells for text in cell.failures)
    return ["Not measured, or not in all rounds:", "\n".join(lines)] if lines else []


def _void(cells: list[Cell]) -> str:
    runs = sum(len(cell.void) + len(cell.samples) for cell in cells)
    void = sum(len(cell.void) for cell in cells)
    return f" Of {runs} runs {void} were void." if void else " None was."

"""The document: tables for people."""

from __future__ import annotations

from statistics import median

from side_by_side.markdown import table

from .measure import Cell, Settings, Setup
from .sources import CLIENT_NAMES, MIXED, Client

_INTRODUCTION = """\
How long it takes until the last of several machines has a file that one machine has, and how much that one sends. Each machine is
behind a link of the same rate, either way; all arrive together, unless a heading says otherwise. `benches/lan/run` writes this page;
the same figures stand in lan.json, round by round, with each machine's own.

*First*, *middle* and *last* are what the fastest, the middle and the slowest machine take to have the file, complete and checked, from
when they arrive. They are multiples of the link time of one copy: the file's bits by the link's rate. *Bound* is the least that is
possible for the last one where whole pieces are passed on: 1 + ⌊log₂ N⌋/P for N machines and P pieces, and 4.6 % for the heads of
Ethernet, IP and TCP. Who sends everybody a copy needs N. *Copies* are the bytes that left the source's machine by the file's size.
All are medians of the rounds; their range follows in brackets.

Some clients begin late, whatever the source is: Transmission 3.00 decides every ten seconds of whom it wants something, and requests
nothing in the first ten; aria2 connects to nobody in the first 2.5 s. The bound does not know that."""

_METHOD = """\
{commands}

Every machine is a network namespace on one bridge, with `tc tbf` on both ends of its cable. The tracker that the clients ask is ours
in all rows but opentracker's, and runs on the source's machine. The clients have their own settings, without DHT and local
discovery, and stay as seeders. All have the .torrent when the time begins, and its pieces are as long as make-torrent makes them{pieces}.
Each run makes a new network, starts everything afresh, and compares the SHA-256 of each copy with the file's. nginx has Debian's
settings, without an access log. Rows take turns, each round beginning with another one. Without BitTorrent, a larger file takes as
many link times: it is left out.

*Busy* is the share of the time for which the busiest processor was in use, at most: near 100 %, it was the limit and not the links.
A run is void, and made again, where that was more than {busy:.0%}: up to three times in a round, and once in later ones of a row that
had only void runs so far.{void}"""

_GOALS = {5: 2.5, 25: 1.5, 100: 1.3}
"""For a file of so many MB: what the slowest machine takes at most, as a multiple of the link time of one copy."""
_COPIES_GOAL = 1.15
_RIVALS = {"tracker": ["opentracker", "seed"], "web-seed": ["nginx-web-seed"]}
"""Those that ours is to be no worse than: the first one that was measured."""
_NEAR = 1.05
"""How much worse a web seed may be to be called as good."""


def document(
    cells: list[Cell], settings: Settings, machine: dict[str, str], versions: dict[str, str], commands: list[str]
) -> str:
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
        _method(cells, settings, commands),
        table(["machine", ""], [[name, value] for name, value in {**machine, **versions}.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _section(setup: Setup, cells: list[Cell]) -> list[str]:
    title = f"## {_where(setup)}"
    parts = [title, f"One copy takes {setup.link_time:g} s.{_judged(setup)}"]
    for client in dict.fromkeys(cell.client for cell in cells):
        rows = [_row(cell) for cell in cells if cell.client == client]
        columns = ["source", "pieces", "first", "middle", "last", "bound", "copies", "busy"]
        parts.append(f"### To {CLIENT_NAMES[client]}")
        parts.append(table(columns, rows))
        if client in MIXED:
            parts.append("What the slower machines with each program take:")
            columns = ["source", *(program.removesuffix("-tcp") for program in MIXED[client])]
            parts.append(table(columns, [_mixed_row(cell) for cell in cells if cell.client == client]))
    return parts


def _where(setup: Setup) -> str:
    return f"{setup.size / 1e6:g} MB to {setup.leechers} machines at {setup.mbit:g} Mbit/s{setup.manner()}"


def _judged(setup: Setup) -> str:
    arrivals = " Each machine's time begins when it arrives." if setup.arrivals else ""
    return arrivals + (" The slow machines are not among the figures: a run ends when all others have it." if setup.slow else "")


def _row(cell: Cell) -> list[str]:
    link_time, samples = cell.setup.link_time, cell.samples
    piece = samples[0].piece_length if samples else None
    bound = cell.bound()
    return [
        _name(cell),
        f"{piece // 1024} KiB" if piece else "",
        _figure([sample.first() / link_time for sample in samples]),
        _figure([median(arrival.took for arrival in sample.arrivals) / link_time for sample in samples]),
        _figure([sample.last() / link_time for sample in samples]),
        f"{bound:.2f}" if bound else "",
        _figure([sample.sent / cell.setup.size for sample in samples]),
        f"{max(sample.busy for sample in samples):.0%}" if samples else "–",
    ]


def _mixed_row(cell: Cell) -> list[str]:
    link_time, samples = cell.setup.link_time, cell.samples
    return [_name(cell), *(_figure([sample.of(program)[-1] / link_time for sample in samples]) for program in MIXED[cell.client])]


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
    for (key, client, setup), ours in measured.items():
        text = f"{CLIENT_NAMES[client]}, {_where(setup)}"
        rivals = [(rival, client, setup) for rival in _RIVALS.get(key, [])]
        theirs = next((measured[rival] for rival in rivals if rival in measured), None)
        if key == "tracker":
            most = _GOALS.get(setup.size // 10**6)
            rows += [_goal(f"{text}: last", ours.last(), most)] if most else []
            rows.append(_goal(f"{text}: copies", ours.copies(), _COPIES_GOAL))
            rows += [_goal(f"{text}: last, beside {theirs.source.name}", ours.last(), theirs.last() or 0.0)] if theirs else []
        elif theirs:
            rows.append(_goal(f"{text}: last, beside {theirs.source.name}", ours.last(), _NEAR * (theirs.last() or 0.0)))
            rows.append(_goal(f"{text}: copies, beside {theirs.source.name}", ours.copies(), _NEAR * (theirs.copies() or 0.0)))
    return ["## Goals", table(["goal", "at most", "measured", ""], rows)] if rows else []


def _goal(text: str, measured: float | None, most: float) -> list[str]:
    measured = measured or 0.0
    return [text, f"{most:.2f}", f"{measured:.2f}", "met" if measured <= most else "**missed**"]


def _failures(cells: list[Cell]) -> list[str]:
    # Most of them are the same in each round.
    lines = dict.fromkeys(f"- {cell.name()}: {text}" for cell in cells for text in cell.failures)
    return ["Not measured, or not in all rounds:", "\n".join(lines)] if lines else []


def _method(cells: list[Cell], settings: Settings, commands: list[str]) -> str:
    length = settings.programs.piece_length
    return _METHOD.format(
        commands="\n".join(f"    {command}" for command in commands),
        pieces=f", asked for {length}" if length else "",
        busy=settings.busy,
        void=_void(cells),
    )


def _void(cells: list[Cell]) -> str:
    runs = sum(len(cell.void) + len(cell.samples) for cell in cells)
    void = sum(len(cell.void) for cell in cells)
    return f" Of {runs} runs {void} were void." if void else " None was."

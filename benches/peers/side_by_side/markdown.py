"""The document: tables for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .results import Outcome, Result
from .scenarios import Figure, Goal
from .trackers import TRACKERS

_FIGURES: Mapping[Figure, str] = {
    "cpu_us_per_request": "CPU µs per request",
    "rss_bytes_per_peer": "bytes per peer",
    "latency_p99_us": "p99 µs",
}

Column = tuple[str, Callable[[Result], str]]


def document(outcomes: list[Outcome], machine: dict[str, str], versions: dict[str, str], command: str) -> str:
    """All of it, as Markdown."""
    parts = [
        "# Side by side",
        _INTRODUCTION,
        "![The main figure of each scenario](side-by-side.svg)",
        "## Goals",
        _goals(outcomes),
        *(part for outcome in outcomes for part in _section(outcome)),
        "## How it was measured",
        _METHOD.format(command=command),
        table(["machine", ""], [[name, value] for name, value in machine.items()]),
        "## What was compared",
        _trackers(versions),
    ]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
What an announce costs in this tracker and in others, on one machine and in one run. `benches/peers/run` writes this
page; the same figures stand in side-by-side.json, round by round.

The figure to look at is CPU time per request, system and user, of the whole process: it says how many announces a core
can serve, and hardly depends on what else the machine does. Requests per second are those of one tracker and one load
generator on a core each; where the generator is what limits them, the table says so. *Violations* are answers that
simulate-swarm found wrong (strangers in a swarm, the asker itself, more peers than asked for, broken bencode, ...). The
reference servers know one answer, which is always wrong: they show what the system and the framework cost alone."""

_METHOD = """\
    {command}

The tracker runs on the first core, simulate-swarm on the second, over loopback, each peer with an address of its own in
127.0.0.0/8. Each row starts its tracker afresh, lets all peers join, and then measures announces of peers that come,
progress, complete and go: popularity of torrents by Zipf's law, 5 % of announces stopped or completed, 50 peers wanted,
30 where a million are held. Where these announce over HTTP, they have joined over UDP, which is faster. The memory that a
fill takes is read once it stands still.
Rows of a scenario take turns, each round beginning with another one. A figure is the median of the rounds, a ratio the
median of the rounds' ratios. With `--quick` there are a tenth of the peers, and a second.

All trackers log warnings and errors only, as opentracker and aquatic do by themselves, and ours has neither a dashboard nor
a peer of its own, which the others do not have, either; a row of its own shows what our default costs: a dashboard, a peer
that connects to others (here to peers that do not listen), and a line in the log for each peer. Ours has its default
limits: at most 1,024 connections from an address, and 128 peers from an address in a torrent. Neither is reached. Ours
hands leechers only to seeders that downloaded, as nearly all of these say, which makes its answers a little shorter; that
others hand seeders to seeders is not counted as a violation. At a fixed rate, CPU time per request is read from a clock
that ticks 100 times a second, and includes what idling costs."""


def _goals(outcomes: list[Outcome]) -> str:
    rows = [
        [outcome.scenario.title, goal.row, _wanted(outcome, goal), *_reached(outcome.reached(goal), goal)]
        for outcome in outcomes
        for goal in outcome.scenario.goals
    ]
    return table(["", "row", "goal", "reached", ""], rows)


def _wanted(outcome: Outcome, goal: Goal) -> str:
    figure = _FIGURES[outcome.scenario.figure]
    return f"{figure} ≤ {goal.most:g}" + (f" × {goal.against}" if goal.against else "")


def _reached(value: float | None, goal: Goal) -> tuple[str, str]:
    if value is None:
        return "–", "not measured"
    return f"{value:.2f}" if goal.against else f"{value:.1f}", "met" if value <= goal.most else "**missed**"


def _section(outcome: Outcome) -> list[str]:
    columns = _columns(outcome)
    rows = [[show(result) for _, show in columns] for result in outcome.results]
    failures = [f"- {result.row.name}: {result.failure}" for result in outcome.results if result.failure]
    violations = [
        f"- {result.row.name}: {_kinds(result)}"
        for result in outcome.results
        if result.kind != "reference" and result.median("violations")
    ]
    parts = [f"## {outcome.scenario.title}", outcome.scenario.text, table([name for name, _ in columns], rows)]
    if failures:
        parts += ["Not measured:", "\n".join(failures)]
    if violations:
        parts += ["Violations:", "\n".join(violations)]
    return parts


def _columns(outcome: Outcome) -> list[Column]:
    figure = outcome.scenario.figure
    ratio: Column = ("× best peer", lambda result: _number(outcome.ratio_to_best_peer(result), 2))
    if figure == "rss_bytes_per_peer":
        torrents = any(result.row.load.torrents == result.row.load.peers for result in outcome.results)
        return [
            ("", _name),
            ("bytes per torrent" if torrents else "bytes per peer", _cell(figure, 1, main=True)),
            ratio,
            ("peers", lambda result: f"{result.row.load.peers:,}"),
            ("MiB before", _cell("rss_mib_before", 1)),
            ("MiB after", _cell("rss_mib_after", 1)),
            ("CPU µs per request", _cell("cpu_us_per_request", 2)),
            ("violations", _cell("violations", 0)),
        ]
    return [
        ("", _name),
        ("CPU µs per request", _cell("cpu_us_per_request", 2, main=figure == "cpu_us_per_request")),
        ("requests/s", _cell("requests_per_second", 0)),
        ("limited by", lambda result: next((s.bottleneck for s in result.samples.values()), "–")),
        ("p50 µs", _cell("latency_p50_us", 0)),
        ("p99 µs", _cell("latency_p99_us", 0, main=figure == "latency_p99_us")),
        ("peers per answer", _cell("peers_per_answer", 1)),
        ("bytes per answer", _cell("answer_bytes", 0)),
        ("errors", _cell("errors", 0)),
        ("violations", _cell("violations", 0)),
        ratio,
    ]


def _name(result: Result) -> str:
    return f"**{result.row.name}**" if result.kind == "ours" else result.row.name


def _cell(figure: str, digits: int, *, main: bool = False) -> Callable[[Result], str]:
    def show(result: Result) -> str:
        text = _number(result.median(figure), digits)
        return f"**{text}**" if main and text != "–" else text

    return show


def _kinds(result: Result) -> str:
    kinds: dict[str, int] = {}
    for sample in result.samples.values():
        for kind, count in sample.violations_by_kind.items():
            kinds[kind] = kinds.get(kind, 0) + count
    requests = sum(sample.requests for sample in result.samples.values())
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.items()) + f", in {requests:,} requests"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _trackers(versions: dict[str, str]) -> str:
    rows = [[name, version, TRACKERS[name].settings] for name, version in versions.items()]
    return table(["tracker", "version", "settings"], rows)


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Columns of numbers stand to the right."""
    rule = [":---" if number == 0 or not _numeric(rows, number) else "---:" for number in range(len(heads))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heads, rule, *rows])


def _numeric(rows: list[list[str]], column: int) -> bool:
    return all(row[column].strip("*").replace(",", "").replace(".", "").isdigit() or row[column] == "–" for row in rows)

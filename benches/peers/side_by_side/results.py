"""Figures of many runs: medians, ratios, goals."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from .load import Sample
from .scenarios import BEST_PEER, Goal, Row, Scenario
from .trackers import TRACKERS


@dataclass
class Result:
    """What came of a row in the rounds that were run."""

    row: Row
    samples: dict[int, Sample] = field(default_factory=dict)
    """By round."""
    failure: str | None = None
    """Why there is none of the last round."""

    @property
    def kind(self) -> str:
        """Whether it is ours, a peer's or a reference server's."""
        return TRACKERS[self.row.tracker].kind

    def median(self, figure: str) -> float | None:
        """The median of a figure, None when no round has it."""
        found = [value for sample in self.samples.values() if (value := getattr(sample, figure)) is not None]
        return median(found) if found else None

    def ratio(self, other: Result, figure: str) -> float | None:
        """The median of the rounds' ratios: what slows both down in a round does not count."""
        ratios = [
            mine / theirs
            for number, sample in self.samples.items()
            if number in other.samples
            and (mine := getattr(sample, figure)) is not None
            and (theirs := getattr(other.samples[number], figure))
        ]
        return median(ratios) if ratios else None


@dataclass
class Outcome:
    """A scenario and the results of its rows."""

    scenario: Scenario
    results: list[Result]

    def best_peer(self, load_like: Row | None = None) -> Result | None:
        """The peer with the best figure, among those with the row's protocol and rate if one is given."""
        figure = self.scenario.figure
        peers = [
            (value, number, result)
            for number, result in enumerate(self.results)
            if result.kind == "peer"
            and (value := result.median(figure)) is not None
            and (load_like is None or _comparable(result.row, load_like))
        ]
        if not peers:
            return None
        return min(peers)[2]

    def ratio_to_best_peer(self, result: Result) -> float | None:
        """How many times the best comparable peer's figure it is."""
        best = self.best_peer(result.row)
        return result.ratio(best, self.scenario.figure) if best else None

    def reached(self, goal: Goal) -> float | None:
        """The figure that is to be at most `goal.most`."""
        by_name = {result.row.name: result for result in self.results}
        result = by_name.get(goal.row)
        if result is None:
            return None
        if goal.against is None:
            return result.median(self.scenario.figure)
        other = self.best_peer() if goal.against == BEST_PEER else by_name.get(goal.against)
        return result.ratio(other, self.scenario.figure) if other else None


def _comparable(row: Row, other: Row) -> bool:
    """Peers of the memory scenarios are filled in the way that is fastest for them, which makes no difference there."""
    return row.load.seconds == 0 or row.load.protocol == other.load.protocol

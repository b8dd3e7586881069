"""Rows in lan.json: written, and read again so that later rounds are added to them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .measure import Arrival, Cell, Sample, Setup
from .sources import SOURCES


def to_json(cell: Cell) -> dict[str, Any]:
    """A row with its rounds."""
    return {
        "source": cell.source.key,
        "client": cell.client,
        **asdict(cell.setup),
        "last": cell.last(),
        "bound": cell.bound(),
        "copies": cell.copies(),
        "failures": cell.failures,
        "void": cell.void,
        "rounds": [asdict(sample) for sample in cell.samples],
    }


def from_json(row: dict[str, Any]) -> Cell:
    """The same as it was."""
    source = next(source for source in SOURCES if source.key == row["source"])
    setup = Setup(**{name: row[name] for name in Setup.__dataclass_fields__})
    samples = [Sample(**{**sample, "arrivals": [Arrival(**one) for one in sample["arrivals"]]}) for sample in row["rounds"]]
    return Cell(source, row["client"], setup, samples, row["failures"], row["void"])


def joined(before: list[Cell], now: list[Cell]) -> list[Cell]:
    """The rows of both, in the order of the page; a row that is in both has the rounds of both."""
    rows: dict[tuple, Cell] = {}
    for cell in [*before, *now]:
        key = (cell.source.key, cell.client, cell.setup)
        if earlier := rows.get(key):
            rows[key] = Cell(
                cell.source,
                cell.client,
                cell.setup,
                earlier.samples + cell.samples,
                earlier.failures + cell.failures,
                earlier.void + cell.void,
            )
        else:
            rows[key] = cell

    def order(cell: Cell) -> tuple:
        setup = cell.setup
        return (setup.leechers, setup.arrivals, setup.slow, setup.size, setup.mbit, SOURCES.index(cell.source))

    return sorted(rows.values(), key=order)

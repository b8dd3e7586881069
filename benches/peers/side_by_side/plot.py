"""The picture: bars of each scenario's main figure."""

from __future__ import annotations

from html import escape

from .results import Outcome, Result
from .scenarios import Figure

_UNITS: dict[Figure, str] = {
    "cpu_us_per_request": "CPU µs per request, less is better",
    "rss_bytes_per_peer": "bytes of memory, less is better",
    "latency_p99_us": "99th percentile of the latency in µs, less is better",
}
_COLOURS = {"ours": "#2a6fb0", "peer": "#8a8f98", "reference": "#d3d6db"}

_WIDTH = 860
_MARGIN = 16
_NAMES = 220
_VALUES = 90
_BAR = 18
_LINE = 26
_HEAD = 62


def svg(outcomes: list[Outcome]) -> str:
    """Panels of horizontal bars, one scenario below the other; ours in blue, reference servers in light grey."""
    panels: list[str] = []
    top = _MARGIN
    for outcome in outcomes:
        measured = [(r, v) for r in outcome.results if (v := r.median(outcome.scenario.figure)) is not None]
        if measured:
            panels.append(_panel(outcome, measured, top))
            top += _HEAD + _LINE * len(measured)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
            'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
            f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>',
            *panels,
            "</svg>\n",
        ]
    )


def _panel(outcome: Outcome, measured: list[tuple[Result, float]], top: int) -> str:
    most = max(value for _, value in measured) or 1.0
    scale = (_WIDTH - 2 * _MARGIN - _NAMES - _VALUES) / most
    lines = [
        _text(_MARGIN, top + 16, outcome.scenario.title, "font-size='15' font-weight='600'"),
        _text(_MARGIN, top + 34, _UNITS[outcome.scenario.figure], "fill='#59636e'"),
    ]
    for number, (result, value) in enumerate(measured):
        y = top + _HEAD - 18 + _LINE * number
        left = _MARGIN + _NAMES
        width = max(value * scale, 1.0)
        digits = 0 if value >= 1000 else 1
        lines += [
            _text(left - 10, y + 14, result.row.name, "text-anchor='end'"),
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[result.kind]}"/>',
            _text(left + width + 8, y + 14, f"{value:,.{digits}f}", ""),
        ]
    return "\n".join(lines)


def _text(x: float, y: float, text: str, style: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {style}>{escape(text)}</text>"

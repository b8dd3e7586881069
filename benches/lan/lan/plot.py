"""The picture: how many machines have the file, over time."""

from __future__ import annotations

from html import escape

from .measure import Cell, Sample, Setup

_COLOURS = {
    "nginx": "#b9bdc4",
    "page": "#8fbce6",
    "nginx-web-seed": "#6d737c",
    "web-seed": "#2a6fb0",
    "seed": "#d08a2e",
    "opentracker": "#c2452d",
    "qbittorrent-seed": "#a3562e",
    "tracker": "#1a7f37",
    "tracker-alone": "#6fbf73",
    "tracker-and-nginx": "#8c6bb1",
}
_PANELS = {
    "curl": "",
    "libtorrent": "",
    "libtorrent-tcp": " with libtorrent, TCP only",
    "mixed": " with mixed clients",
    "mixed-tcp": " with mixed clients, TCP only",
}
"""Whose downloads are drawn, and together."""
_WIDTH = 860
_PANEL = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 330, 40, 46


def svg(cells: list[Cell]) -> str:
    """A panel for each network and file: a step for each machine, and the multiples of one copy's link time below.

    Only what mixed clients download, and libtorrent beside curl, so that the ways to give a file away are what is compared.
    """
    groups: dict[tuple[Setup, str], list[Cell]] = {}
    for cell in cells:
        if cell.samples and cell.client in _PANELS:
            groups.setdefault((cell.setup, _PANELS[cell.client]), []).append(cell)
    panels = [_panel(setup, to, shown, _PANEL * number) for number, ((setup, to), shown) in enumerate(groups.items())]
    height = _PANEL * len(panels)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
            'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *panels,
            "</svg>\n",
        ]
    )


def _panel(setup: Setup, to: str, cells: list[Cell], top: int) -> str:
    shown = [(cell, [second / setup.link_time for second in _middle(cell).complete()]) for cell in cells]
    most = 1.05 * max((times[-1] for _, times in shown), default=1.0)
    across = (_WIDTH - _LEFT - _RIGHT) / most
    judged = setup.leechers - setup.slow
    down = (_PANEL - _TOP - _BOTTOM) / judged
    bottom = top + _PANEL - _BOTTOM
    title = f"{setup.size / 1e6:g} MB to {setup.leechers} machines{to}, {setup.mbit:g} Mbit/s each{setup.manner()}"
    lines = [
        _text(_LEFT, top + 22, title, "font-weight='600'"),
        _text(_LEFT - 8, top + _TOP + 8, str(judged), "text-anchor='end' fill='#59636e'"),
        _text(_LEFT - 8, bottom, "0", "text-anchor='end' fill='#59636e'"),
        _text(_LEFT, bottom + 36, "time, as a multiple of the link time of one copy", "fill='#59636e'"),
    ]
    for multiple in range(0, int(most) + 1, 1 + int(most) // 12):
        x = _LEFT + multiple * across
        lines.append(f"<line x1='{x:.1f}' y1='{top + _TOP}' x2='{x:.1f}' y2='{bottom}' stroke='#e4e6ea'/>")
        lines.append(_text(x, bottom + 18, str(multiple), "text-anchor='middle' fill='#59636e'"))
    for number, (cell, times) in enumerate(shown):
        colour = _COLOURS[cell.source.key]
        path = f"M{_LEFT:.1f} {bottom:.1f}"
        for complete, time in enumerate(times, start=1):
            path += f"H{_LEFT + time * across:.1f}V{bottom - complete * down:.1f}"
        lines.append(f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='2'/>")
        y = top + _TOP + 14 + 22 * number
        x = _WIDTH - _RIGHT + 16
        lines.append(f"<rect x='{x}' y='{y - 10}' width='12' height='12' fill='{colour}'/>")
        lines.append(_text(x + 20, y, f"{cell.source.name}", ""))
    return "\n".join(lines)


def _middle(cell: Cell) -> Sample:
    """The run whose last machine came in the middle."""
    return sorted(cell.samples, key=Sample.last)[len(cell.samples) // 2]


def _text(x: float, y: float, text: str, style: str) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {style}>{escape(text)}</text>"

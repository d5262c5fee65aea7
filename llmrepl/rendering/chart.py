"""Bar charts as text."""

from __future__ import annotations

from llmrepl.commands.results import Chart
from llmrepl.formatting import escape_name
from llmrepl.rendering.markdown.layout import cell_width
from llmrepl.rendering.table_fit import shorten_names

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SHORTEST_NAME, _SHORTEST_BAR = 8, 4


def chart_rows(chart: Chart, width: int, *, ascii_only: bool = False) -> list[str]:
    """Draw a row for each bar: its name, its amount, and the bar; the longest fills the `width`, in cells.

    Where it is narrow, names are shortened in the middle, and bars go before amounts do.
    """
    names = [escape_name(bar.name) for bar in chart.bars]
    wide = max((len(bar.amount) for bar in chart.bars), default=0)
    longest = max(map(cell_width, names), default=0)
    named = min(longest, max(_SHORTEST_NAME, width - wide - 4 - max(_SHORTEST_BAR, width // 4)))
    left = width - named - wide - 4
    rows = []
    for name, bar in zip(shorten_names(names, named), chart.bars, strict=True):
        drawn = draw_bar(bar.share, left, ascii_only=ascii_only) if left >= _SHORTEST_BAR else ""
        rows.append(f"{name}{' ' * (named - cell_width(name))}  {bar.amount:>{wide}}  {drawn}".rstrip())
    return rows


def draw_bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """Draw a bar of `share` (0 to 1) of `width` columns, in eighths of a column or with `#`."""
    if ascii_only:
        return "#" * round(share * width)
    full, eighths = divmod(round(share * width * 8), 8)
    return "█" * full + (_EIGHTHS[eighths] if eighths else "")

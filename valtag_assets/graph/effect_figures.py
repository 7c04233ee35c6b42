"""Figures of what triggers brought: differences with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from valtag_assets.graph.figures import BLUE, tidy

_PANELS = (("lift", "转化率提升 lift", "{x:.1%}"), ("revenue_lift", "人均收入提升 revenue a person", "{x:,.2f}"))


def effect_figure(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """A row per period, all together first: the difference of the arms with its 95% interval, against zero."""
    rows = [line for line in lines if line["lift"] is not None]
    panels = [panel for panel in _PANELS if any(row[panel[0]] is not None for row in rows)]
    # Places are worked out here in inches: matplotlib can't measure fonts that only the reader has.
    height, width = 0.8 + 0.28 * len(rows), 4.4 * len(panels)
    figure = Figure(figsize=(width, height))
    for number, (name, title, form) in enumerate(panels):
        left = (4.4 * number + 0.9) / width
        axes = figure.add_axes((left, 0.38 / height, 3.2 / width, (height - 0.72) / height))
        own = [(place, row) for place, row in enumerate(rows) if row[name] is not None]
        places, values = [place for place, _ in own], [row[name] for _, row in own]
        below = [row[name] - row[f"{name}_low"] for _, row in own]
        above = [row[f"{name}_high"] - row[name] for _, row in own]
        axes.errorbar(values, places, xerr=[below, above], fmt="o", color=BLUE, markersize=4, capsize=3)
        axes.axvline(0, color="#8a8a8a", linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(rows)), [row["period"] for row in rows], fontsize=7)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(form)
        axes.set_title(f"{title}（95%）", loc="left", fontsize=8)
        tidy(axes)
    return figure

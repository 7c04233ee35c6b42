"""Figures of what is published, as SVG; the browser's own fonts draw the text, Chinese included."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from valtag_assets.warehouse.snapshot import Snapshot

FONTS = "'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', 'Source Han Sans SC', sans-serif"
BLUE, RED = "#3b6fb6", "#c0504d"
MOST_BARS = 10
# Names that matplotlib numbers anew in every figure; on one page with others they would not be unique.
_NUMBERED = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
_FONT = re.compile(r"font-family: [^;\"]*")
_HEAD = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True)
class Bars:
    """One panel of bars: its title, a value per label (None: nothing to draw), and how a value is written."""

    title: str
    values: Sequence[float | None]
    written: Sequence[str]


def svg(figure: Figure) -> str:
    """The figure as an SVG file; text stays text, so no font has to be shipped."""
    buffer = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "valtag", "font.family": ["sans-serif"]}
    # A value such as $x$ is a value, and no formula.
    settings["text.parse_math"] = False
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    # Titles and names of axes have their places; to look for free ones means to measure every text around them.
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Its own font only measures the text here; the reader's browser draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _FONT.sub(f"font-family: {FONTS}", buffer.getvalue())


def inline_svg(figure: Figure) -> str:
    """The figure as an element of a page: without a background, black drawn in the page's own colour."""
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    found = _NUMBERED.sub("", _HEAD.sub("", svg(figure)))
    return found.replace("#000000", "currentColor")


def tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def quantiles(axes: Axes, histogram: Mapping[str, Any]) -> None:
    """Bins are deciles, so their counts say nothing; their edges do."""
    counts = histogram["counts"]
    reached = list(accumulate(counts[:-1]))
    shares = [upto / sum(counts) for upto in reached]
    axes.plot(shares, histogram["edges"], marker="o", markersize=2.5, color=BLUE)
    if len({round(edge, 9) for edge in histogram["edges"]}) == 1:  # one value, not a range around it
        axes.set_yticks([round(histogram["edges"][0], 9)])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("人数占比 share of persons", fontsize=6)


def distribution_figure(histogram: Mapping[str, Any], labels: Sequence[str], other: str) -> Figure:
    """How the values of one tag are spread: quantiles of numbers, else bars of the commonest values, called
    ``labels``, and of all ``other`` ones."""
    if "edges" in histogram:
        figure = Figure(figsize=(4.4, 1.7))
        axes = figure.add_axes((0.17, 0.27, 0.78, 0.66))
        quantiles(axes, histogram)
        tidy(axes)
        return figure
    counts = [float(count) for count in histogram["counts"]]
    shown = [*labels[:MOST_BARS]]
    values = counts[: len(shown)]
    rest = sum(counts[len(shown) :])
    if rest > 0:
        shown.append(other)
        values.append(rest)
    return bars_figure(shown, [Bars("", values, [f"{value:,.0f}" for value in values])], width=4.4)


def bars_figure(labels: Sequence[str], panels: Sequence[Bars], width: float = 8.6) -> Figure:
    """Horizontal bars, one row per label, the panels side by side."""
    # Places are worked out here in inches: matplotlib can't measure fonts that only the reader has.
    margin, row = (1.35, 0.19) if width < 6 else (2.1, 0.22)
    top = 0.3 if any(panel.title for panel in panels) else 0.06
    height = top + 0.08 + row * max(1, len(labels))
    figure = Figure(figsize=(width, height))
    each = (width - margin) / len(panels)
    for number, panel in enumerate(panels):
        left = margin + each * number
        axes = figure.add_axes((left / width, 0.06 / height, (each - 0.75) / width, (height - top - 0.08) / height))
        places = range(len(labels))
        axes.barh(places, [value or 0.0 for value in panel.values], color=BLUE, height=0.72)
        axes.invert_yaxis()
        axes.set_yticks(places, labels if number == 0 else [], fontsize=7)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        for place, value in enumerate(panel.values):
            end = (max(value or 0.0, 0.0), place)
            axes.annotate(panel.written[place], end, (3, 0), textcoords="offset points", va="center", fontsize=7)
        if panel.title:
            axes.set_title(panel.title, loc="left", fontsize=8, y=1.0)
    return figure


def history_figure(snapshots: Sequence[Snapshot], size: tuple[float, float] = (8, 2.6)) -> Figure:
    """Size of an audience per as-of; of several snapshots of one as-of, the newest."""
    newest: dict[date, int] = {s.as_of: s.rows for s in snapshots if s.as_of is not None}
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    days = sorted(newest)
    axes.plot([str(day) for day in days], [newest[day] for day in days], marker="o", color=BLUE)
    for place, day in enumerate(days[-8:]):
        at = (max(0, len(days) - 8) + place, newest[day])
        axes.annotate(f"{newest[day]:,}", at, (0, 4), textcoords="offset points", ha="center", fontsize=7)
    axes.set_ylim(0, 1.2 * max([1, *newest.values()]))
    axes.set_title("人数 persons", loc="left", fontsize=9)
    axes.tick_params(axis="x", rotation=30, labelsize=7)
    tidy(axes)
    return figure

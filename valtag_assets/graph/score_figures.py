"""Figures of any score: how persons moved between its tiers, how far its revenue is concentrated, what tiers get."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from valtag_assets.engine.concentration import SHOWN, Concentration
from valtag_assets.engine.transitions import Move
from valtag_assets.graph.figures import BLUE, Bars, bars_figure, tidy
from valtag_assets.spec.block import Title

ENTERED = Title(zh="新进入", en="Came in")
LEFT = Title(zh="已离开", en="Left")


def transition_figure(moves: Sequence[Move], titles: Mapping[str, Title], days: tuple[str, str]) -> Figure:
    """A row per tier before (and those who came in), a column per tier now (and those who left): persons, coloured by
    their share of the row. ``days``: the two as-of."""
    rows = [*titles, None] if any(move.before is None for move in moves) else [*titles]
    columns = [*titles, None] if any(move.now is None for move in moves) else [*titles]
    size: dict[tuple[str | None, str | None], Move] = {(move.before, move.now): move for move in moves}
    shares = [[size[b, n].share if (b, n) in size else 0.0 for n in columns] for b in rows]
    figure = Figure(figsize=(2.6 + 0.72 * len(columns), 1.25 + 0.42 * len(rows)))
    wide, high = figure.get_size_inches()
    # Places are worked out here in inches: matplotlib can't measure fonts that only the reader has.
    axes = figure.add_axes((2.1 / wide, 0.1 / high, (wide - 2.3) / wide, (high - 1.2) / high))
    axes.imshow(shares, cmap="Blues", aspect="auto", vmin=0, vmax=1)
    for row, before in enumerate(rows):
        for column, now in enumerate(columns):
            move = size.get((before, now))
            text = "·" if move is None else f"{move.persons:,}\n{move.share:.0%}"
            # Grey is legible on every shade where nothing is; white only on the dark ones.
            colour = "#8a8a8a" if move is None else "white" if move.share > 0.55 else "#1f1f1f"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
    named = [titles[tier] if tier is not None else ENTERED for tier in rows]
    axes.set_yticks(range(len(rows)), [f"{title.zh} {title.en}"[:26] for title in named], fontsize=7)
    named = [titles[tier] if tier is not None else LEFT for tier in columns]
    axes.set_xticks(range(len(columns)), [f"{title.zh}\n{_short(title.en)}" for title in named], fontsize=6.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.text(
        0.1 / wide, 1 - 0.28 / high, f"{days[0]} → {days[1]}：行为原分层，列为现分层 rows: before, columns: now"
    )
    figure.texts[0].set_fontsize(9)
    return figure


def _short(text: str) -> str:
    """Two lines of at most twelve characters."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if len(joined) <= 12 else [*lines, word]
    return "\n".join(line[:12] for line in lines[:2] if line)


def concentration_figure(found: Concentration) -> Figure:
    """The share of the revenue that the top p % of persons make, the largest first (straight if all spent alike), and
    that share for the usual p."""
    figure = Figure(figsize=(8.6, 2.9))
    axes = figure.add_axes((0.07, 0.17, 0.4, 0.7))
    places = [0.0, *[percent / 100 for percent in found.top], 1.0]
    axes.plot(places, [0.0, *found.top.values(), 1.0], color=BLUE, marker="o", markersize=2.5)
    axes.plot([0, 1], [0, 1], color="#8a8a8a", linewidth=0.8, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("人数占比（金额由高到低）share of persons, largest first", fontsize=7)
    gini = "" if found.gini is None else f"，基尼系数 Gini {found.gini:.3f}"
    axes.set_title(f"金额累计占比 cumulative share of revenue{gini}", loc="left", fontsize=8, y=1.0)
    tidy(axes)
    tops = [percent for percent in SHOWN if percent in found.top]
    bars = figure.add_axes((0.6, 0.17, 0.32, 0.7))
    bars.barh([f"前 top {percent}%" for percent in tops], [found.top[percent] for percent in tops], color=BLUE)
    bars.invert_yaxis()
    bars.set_xlim(0, 1)
    bars.set_xticks([])
    for place, percent in enumerate(tops):
        end, written = (found.top[percent], place), f"{found.top[percent]:.1%}"
        bars.annotate(written, end, (3, 0), textcoords="offset points", va="center", fontsize=7)
    bars.set_title("头部人群的金额占比 share of revenue of the top persons", loc="left", fontsize=8, y=1.0)
    tidy(bars)
    bars.spines["bottom"].set_visible(False)
    return figure


def allocation_figure(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """A row per tier: its share of the persons, of the revenue where there is one, and of the budget."""
    panels = [
        ("persons_share", "人数占比 persons"),
        ("revenue_share", "金额占比 revenue"),
        ("budget_share", "预算占比 budget"),
    ]
    shown = []
    for name, title in panels:
        values = [None if line.get(name) is None else float(line[name]) for line in lines]
        if any(value is not None for value in values):
            shown.append(Bars(title, values, ["" if value is None else f"{value:.1%}" for value in values]))
    return bars_figure([f"{line['title_zh']} {line['title_en']}"[:24] for line in lines], shown)

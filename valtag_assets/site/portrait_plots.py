"""The pictures of a portrait, as PNG: how strong the differences are, and how the strongest look."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from valtag_assets.console.portrait import Pictured
from valtag_assets.console.portrait_view import effect, heading, p_value, significant, title_of
from valtag_assets.engine.portrait import Difference, Histogram

# Fonts with Chinese characters on the usual systems; all Noto CJK fonts have the same characters.
FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN"),
    *("PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "WenQuanYi Micro Hei", "Noto Serif CJK SC"),
)
BLUE, RED, GREY = "#3b6fb6", "#c0504d", "#9aa3ad"
MOST_BARS, MOST_VALUES, PANELS, ACROSS = 20, 8, 9, 3
_DPI = 150


def draw_effects(found: Pictured, into: Path) -> None:
    """One bar per difference, the strongest above; its length is the correlation with membership."""
    shown = found.portrait.differences[:MOST_BARS]
    with _fonts():
        figure = Figure(figsize=(11, 1.5 + 0.46 * len(shown)), layout="constrained")
        axes = figure.subplots()
        lengths = [item.effect.strength for item in shown]
        axes.barh(range(len(shown)), lengths, height=0.62, color=[_colour(item) for item in shown])
        axes.set_yticks(range(len(shown)), [_two_lines(found, item) for item in shown], fontsize=8)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        longest = max(max(lengths), 0.01)
        axes.set_xlim(0, longest * 1.25)
        axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 1])
        for place, item in enumerate(shown):
            axes.text(item.effect.strength + longest * 0.01, place, _words(item), va="center", fontsize=8)
        axes.set_xlabel("与是否属于人群的相关 correlation with membership（0–1）", fontsize=8)
        colours = "蓝：人群更高 higher in the audience · 红：更低 lower · 灰：分布不同 another mix"
        if any(item.code in found.in_rule for item in shown):
            colours += " · *：规则所含 in the rule itself"
        axes.set_title(f"{heading(found)}\n{colours}", loc="left", fontsize=10)
        _plain(axes)
        figure.savefig(into, dpi=_DPI)


def draw_distributions(found: Pictured, into: Path) -> bool:
    """The audience beside the others in the tags that differ most; False, and no file, where there is none."""
    shown = [item for item in found.portrait.differences if item.values or item.code in found.histograms]
    shown = [item for item in shown if item.kind != "unfilled"][:PANELS]
    if not shown:
        return False
    down = -(-len(shown) // ACROSS)
    with _fonts():
        figure = Figure(figsize=(13, 3.1 * down + 0.5), layout="constrained")
        ends = "两端各含最外 1% the outer bins hold the outer 1 %"
        figure.suptitle(f"{heading(found)}（{ends}）", x=0.01, ha="left", fontsize=11)
        panels: list[Axes] = list(figure.subplots(down, ACROSS, squeeze=False).flat)
        for panel, item in zip(panels, shown, strict=False):
            if item.values:
                _shares(panel, found, item)
            else:
                _spread(panel, found.histograms[item.code])
            unit = "距截止日天数 days before the as-of" if item.kind == "date" else found.units.get(item.code, "")
            panel.set_title(f"{_two_lines(found, item)}{f'（{unit}）' if unit else ''}", loc="left", fontsize=8.5)
            axis = panel.xaxis if item.values else panel.yaxis
            axis.set_major_formatter(PercentFormatter(1.0))
            panel.legend(fontsize=7, frameon=False)
            _plain(panel)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        figure.savefig(into, dpi=_DPI)
    return True


def _spread(axes: Axes, drawn: Histogram) -> None:
    middles = [(low + high) / 2 for low, high in zip(drawn.edges, drawn.edges[1:], strict=False)]
    widths = [high - low for low, high in zip(drawn.edges, drawn.edges[1:], strict=False)]
    axes.bar(middles, drawn.members, widths, color=BLUE, alpha=0.85, label="人群 audience")
    axes.stairs(drawn.rest, drawn.edges, color="#444b54", linewidth=1.3, label="其余 rest")


def _shares(axes: Axes, found: Pictured, item: Difference) -> None:
    largest = sorted(item.values, key=lambda value: (-max(value.share, value.reference_share), value.value))
    shown = sorted(largest[:MOST_VALUES], key=lambda value: (-value.share, value.value))
    places = range(len(shown))
    label = "全体 everybody" if found.against is None else "对比人群 other audience"
    upper, lower = [place - 0.2 for place in places], [place + 0.2 for place in places]
    axes.barh(upper, [value.share for value in shown], 0.4, color=BLUE, label="人群 audience")
    axes.barh(lower, [value.reference_share for value in shown], 0.4, color=GREY, label=label)
    titles = found.value_titles.get(item.code, {})
    names = [f"{titles[v.value].zh}\n{titles[v.value].en}" if v.value in titles else v.value for v in shown]
    axes.set_yticks(places, [_short(name) for name in names])
    axes.invert_yaxis()


def _short(name: str) -> str:
    return "\n".join(line if len(line) <= 18 else line[:17] + "…" for line in name.split("\n"))


def _colour(item: Difference) -> str:
    if item.effect.size is None or item.effect.measure == "V":
        return GREY
    return BLUE if item.effect.size > 0 else RED


def _words(item: Difference) -> str:
    if item.adjusted is None:
        return effect(item)
    p = p_value(item.adjusted)
    sign = f"p {p.replace('<', '< ')}" if p.startswith("<") else f"p = {p}"
    return f"{effect(item)}   {sign}{'' if significant(item) else '（不显著 n.s.）'}"


def _two_lines(found: Pictured, item: Difference) -> str:
    title = title_of(found, item)
    return f"{title.zh}{'*' if item.code in found.in_rule else ''}\n{title.en}"


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7.5)


@contextmanager
def _fonts() -> Iterator[None]:
    """The first font of ``FONTS`` that this machine has, before matplotlib's own, which has no Chinese."""
    known = {font.name for font in font_manager.fontManager.ttflist}
    names: Sequence[str] = [name for name in FONTS if name in known]
    settings: Any = {"font.family": [*names[:1], "DejaVu Sans"], "axes.unicode_minus": False}
    with mpl.rc_context(settings):
        yield

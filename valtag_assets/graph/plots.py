"""Small plots for asset pages."""

import base64
import hashlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import dagster as dg
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from valtag_assets.expression.resolved import ResolvedCategory
from valtag_assets.graph.figures import BLUE, MOST_BARS, RED, quantiles, svg, tidy
from valtag_assets.spec.score import Rfm
from valtag_assets.warehouse.snapshot import Snapshot

MOST_PANELS = 12
# What needs looking at is what few persons have: beyond so many tags the others are in the table of columns.
MOST_TAGS = 40
WIDTH = 11.0
_MOST_KEPT = 100
P = ParamSpec("P")
_kept: dict[str, str] = {}


@dataclass(frozen=True)
class _Tag:
    """What the plot of a category shows of a tag."""

    code: str
    title: str
    unit: str
    coverage: float
    held: bool
    histogram: dict[str, Any] | None


def category_plot(category: ResolvedCategory, snapshot: Snapshot) -> dg.MetadataValue:
    """Coverage of every tag (of very many: of those that are held or that fewest persons have), then the distribution
    of the first tags: quantiles or the commonest values."""
    columns = snapshot.metrics["profile"]["columns"]
    shown = [
        _Tag(
            tag.code,
            tag.title.zh,
            tag.spec.unit or "",
            columns[tag.code]["coverage"] or 0.0,
            tag.code in snapshot.held,
            columns[tag.code].get("histogram") or None,
        )
        for tag in category.tags
        if tag.code in columns
    ]
    return as_image(f"{category.code} {snapshot.as_of}", _category_figure, shown)


def _category_figure(tags: Sequence[_Tag]) -> Figure:
    drawn = [tag for tag in tags if tag.histogram][:MOST_PANELS]
    few = sorted(tags, key=lambda tag: (not tag.held, tag.coverage))[:MOST_TAGS]
    shown = tags if len(tags) <= MOST_TAGS else few
    rows = (len(drawn) + 2) // 3
    # Places are worked out here in inches: letting matplotlib fit them took most of the time of an asset.
    bars, panels = 0.7 + 0.26 * len(shown), 2.0 * rows
    height = bars + panels
    figure = Figure(figsize=(WIDTH, height))
    upper = figure.add_axes((3.4 / WIDTH, (panels + 0.35) / height, 7.2 / WIDTH, (bars - 0.7) / height))
    _coverage(upper, shown, of=len(tags))
    for place, tag in enumerate(drawn):
        row, column = divmod(place, 3)
        left, bottom = 0.5 + 3.6 * column, panels - 2.0 * (row + 1) + 0.6
        panel = figure.add_axes((left / WIDTH, bottom / height, 3.0 / WIDTH, 1.05 / height))
        _distribution(panel, tag)
    return figure


def _coverage(axes: Axes, tags: Sequence[_Tag], of: int) -> None:
    names = [f"{tag.title} {tag.code}" for tag in tags]
    axes.barh(names, [tag.coverage for tag in tags], color=[RED if tag.held else BLUE for tag in tags])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.xaxis.set_major_formatter("{x:.0%}")
    for place, tag in enumerate(tags):
        axes.text(tag.coverage + 0.005, place, f"{tag.coverage:.1%}", va="center", fontsize=7)
    held = "（红色：暂停 red: held）" if any(tag.held for tag in tags) else ""
    some = f"：{of} 个标签中最低的 {len(tags)} 个 · the {len(tags)} lowest of {of}" if len(tags) < of else ""
    axes.set_title(f"覆盖率 Coverage{some}{held}", loc="left", fontsize=10, y=1.0)
    tidy(axes)


def _distribution(axes: Axes, tag: _Tag) -> None:
    histogram = tag.histogram
    assert histogram is not None
    counts = histogram["counts"]
    if "values" in histogram:
        labels = [str(value)[:12] for value in histogram["values"]][:MOST_BARS]
        axes.bar(range(len(labels)), counts[: len(labels)], color=BLUE)
        axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", fontsize=6)
    else:
        quantiles(axes, histogram)
    unit = f"（{tag.unit}）" if tag.unit else ""
    axes.set_title(f"{tag.title}{unit} {tag.code}", fontsize=8, loc="left", y=1.0)
    tidy(axes)


def rfm_heat_map(rfm: Rfm, cells: Sequence[dict[str, Any]], currency: str) -> dg.MetadataValue:
    """Persons by recency and frequency score, each cell with its tier, size and mean monetary value."""
    return as_image("RFM", _heat_map, rfm, cells, currency)


def _heat_map(rfm: Rfm, cells: Sequence[dict[str, Any]], currency: str) -> Figure:
    figure = Figure(figsize=(9.5, 6))
    axes = figure.add_axes((0.07, 0.1, 0.79, 0.84))
    scores = range(1, rfm.bins + 1)
    sizes = [[_sum(cells, r, f, "persons") for f in scores] for r in reversed(scores)]
    image = axes.imshow(sizes, cmap="Blues", aspect="auto")
    most = max(max(row) for row in sizes) or 1
    names = {tier.code: tier.title.zh for tier in rfm.named_tiers}
    for row, r in enumerate(reversed(scores)):
        for column, f in enumerate(scores):
            size, money = sizes[row][column], _sum(cells, r, f, "monetary")
            own = {cell["tier"] for cell in cells if cell["r"] == r and cell["f"] == f}
            title = "/".join(names[code] for code in names if code in own)
            text = f"{title}\n{size:,}\n{money / size:,.0f} {currency}" if size else "·"
            colour = "white" if size > 0.6 * most else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(rfm.bins), [f"F{f}" for f in scores])
    axes.set_yticks(range(rfm.bins), [f"R{r}" for r in reversed(scores)])
    axes.set_xlabel(f"频度 Frequency（{rfm.frequency}）")
    axes.set_ylabel(f"近度 Recency（{rfm.recency}）")
    axes.set_title(
        f"RFM：每格人数与人均金额 persons and mean monetary value per cell（{rfm.monetary}）",
        loc="left",
        fontsize=10,
        y=1.0,
    )
    figure.colorbar(image, cax=figure.add_axes((0.89, 0.1, 0.035, 0.84)), label="人数 persons")
    return figure


def _sum(cells: Sequence[dict[str, Any]], r: int, f: int, what: str) -> Any:
    return sum(cell[what] for cell in cells if cell["r"] == r and cell["f"] == f)


def as_image(alt: str, draw: Callable[P, Figure], *shown: P.args, **more: P.kwargs) -> dg.MetadataValue:
    """The figure ``draw(*shown, **more)`` as a picture on an asset's page.

    A table that stays as it is has its picture on every run's page, and drawing it takes longer than all the rest:
    a process keeps the last ones by what they show. ``draw`` may read nothing else.
    """
    content = pickle.dumps((draw.__module__, draw.__qualname__, shown, more))
    key = hashlib.sha256(content).hexdigest()
    if key not in _kept:
        drawn = svg(draw(*shown, **more))
        if len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = base64.b64encode(drawn.encode()).decode()
    return dg.MetadataValue.md(f"![{alt}](data:image/svg+xml;base64,{_kept[key]})")

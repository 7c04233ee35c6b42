"""Allocations as they were published: what each tier is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valtag_assets.engine.access import allocation_needs
from valtag_assets.graph.figures import inline_svg
from valtag_assets.graph.score_figures import allocation_figure
from valtag_assets.site.published import Found, Published
from valtag_assets.spec.allocation import COLUMN_TITLES
from valtag_assets.spec.block import Title

# What the page shows of each tier beside the picture, which has the shares; the two languages of a thing are one.
_SHOWN = {
    "title": COLUMN_TITLES["tier"],
    "persons": COLUMN_TITLES["persons"],
    "revenue": COLUMN_TITLES["revenue"],
    "budget_amount": COLUMN_TITLES["budget_amount"],
    "budget_per_person": COLUMN_TITLES["budget_per_person"],
    "offer": Title(zh="权益", en="Offer"),
    "channel": COLUMN_TITLES["channel"],
    "action": Title(zh="动作", en="Action"),
}
_PAIRS = ("title", "offer", "action")


@dataclass(frozen=True)
class Cell:
    """One cell: a text, a number, or a title in both languages; None of them: nothing."""

    text: str | None = None
    number: int | float | None = None
    both: Title | None = None


@dataclass(frozen=True)
class AllocationEntry:
    """One allocation: its ``lines`` under ``columns``, whether numbers stand in them, and a picture.

    ``hidden``: the tiers are values above the default role, so the lines are left out. ``untiered``: persons that
    have no tier.
    """

    code: str
    title: Title
    meaning: str | None
    of: str
    found: Found
    hidden: bool
    untiered: int | None
    columns: tuple[tuple[Title, bool], ...]
    currency: str | None
    lines: tuple[tuple[Cell, ...], ...]
    plot: str | None
    search: str


def allocations(published: Published) -> list[AllocationEntry]:
    """Every allocation of the catalog."""
    return [_allocation(published, code) for code in published.resolved.allocations]


def _allocation(published: Published, code: str) -> AllocationEntry:
    spec, found = published.resolved.allocations[code].spec, published.found(f"allocations/{code}")
    metrics = found.snapshot.metrics if found.snapshot else {}
    needs = allocation_needs(published.resolved, published.resolved.allocations[code])
    hidden = not published.readable(*needs.values()) or (found.snapshot is not None and "lines" not in metrics)
    lines: Sequence[Mapping[str, Any]] = [] if hidden else metrics.get("lines", [])
    own = lines[0] if lines else {}
    columns = [name for name in _SHOWN if name in own or f"{name}_zh" in own]
    return AllocationEntry(
        code=code,
        title=spec.title,
        meaning=spec.meaning,
        of=spec.of,
        found=found,
        hidden=hidden,
        untiered=metrics.get("untiered"),
        columns=tuple((_SHOWN[name], name not in (*_PAIRS, "channel")) for name in columns),
        currency=own.get("currency"),
        lines=tuple(tuple(_cell(line, name) for name in columns) for line in lines),
        plot=inline_svg(allocation_figure(lines)) if lines else None,
        search=" ".join([code, str(spec.title), spec.meaning or "", spec.of, *(str(i.offer) for i in spec.tiers)]),
    )


def _cell(line: Mapping[str, Any], name: str) -> Cell:
    if name in _PAIRS:
        zh, en = line[f"{name}_zh"], line[f"{name}_en"]
        return Cell(both=Title(zh=zh, en=en)) if zh is not None else Cell()
    value = line[name]
    if value is None or name == "channel":
        return Cell(text=value)
    return Cell(number=value if isinstance(value, int) else float(value))

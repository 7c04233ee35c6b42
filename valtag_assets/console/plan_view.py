"""What a run would do, on the screen."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.screen import table
from valtag_assets.graph.as_of import choose_as_of
from valtag_assets.graph.setting import Setting

_FEW = 8


def print_plan(console: Console, planned: Any, *, guessed: bool = False) -> None:
    """A ``graph.planning.Planned``: the tables that would be computed, then what that means for others.

    ``guessed``: a run would choose another as-of, once it has read the facts.
    """
    if guessed:
        console.print("as-of: the last complete date of the facts, which a first run has yet to read")
    rows = [[step.table, "; ".join(step.why), tag_words(step.tags)] for step in planned.computed]
    kept = len(planned.steps) - len(rows)
    if rows:
        title = "Plan 计划" if guessed else f"Plan 计划, as-of {planned.as_of}"
        console.print(table(title, ["!table", "why", "tags"], rows))
    console.print(f"{len(rows)} of {len(planned.steps)} tables would be computed, {kept} kept", markup=False)
    _print_rest(console, planned)


def print_changes(console: Console, planning: Any, setting: Setting, days: Sequence[date]) -> None:
    """Before a run: what it will do because the catalog says something else than last time; otherwise nothing."""
    if not setting.warehouse.tables():
        return
    planned = planning.plan_run(setting, days[-1] if days else choose_as_of(setting))
    if not planned.catalog_changed:
        return
    for step in planned.computed:
        words = tag_words(step.tags) or ("changed" if planning.MEANING in step.why else "")
        if words:
            console.print(Text(f"catalog change: {step.table}: {words}"), soft_wrap=True)
    _print_rest(console, planned)


def _print_rest(console: Console, planned: Any) -> None:
    for tiles in planned.tiles:
        months = f"{len(tiles.months)} parts, {tiles.months[0]} to {tiles.months[-1]}"
        console.print(Text(f"tiles to make of {tiles.fact}: {months}, for {_some(tiles.tags)}"), soft_wrap=True)
    for segment, tags in planned.touched.items():
        console.print(Text(f"segments/{segment} reads {_some(tags)}: another meaning now"), soft_wrap=True)


def tag_words(tags: Any) -> str:
    """New, changed and removed tags in a few words."""
    parts = (("new", tags.new), ("changed", tags.changed), ("removed", tags.removed))
    return "; ".join(f"{word} {_some(codes)}" for word, codes in parts if codes)


def _some(codes: Iterable[str]) -> str:
    codes = list(codes)
    return ", ".join(codes[:_FEW]) + (f" and {len(codes) - _FEW} more" if len(codes) > _FEW else "")

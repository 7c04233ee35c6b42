"""Smaller listings: health, functions, mistakes of a catalog."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import count, print_json, screen, state, table
from valtag_assets.expression.functions import FUNCTIONS
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.problem import CatalogError, Problem

_WELL = ("ok", "warned", "never published")


def print_health(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows of graph.health.table_health as dicts, then the reasons of those that are not well."""
    columns = ["!table", "!state", "!as-of", ">rows", ">age d", "!data until", "policy", "!last tried"]
    # What matters least goes first where the screen is narrow; the state is never lost.
    shown = next((many for least, many in ((150, 8), (120, 6), (90, 5)) if console.width >= least), 3)
    lines = [
        [row["table"], state(row["state"]), row["as_of"], count(row["rows"]), row["data_age_days"],
         row["data_until"], row["policy"], row["last_tried"]][:shown]
        for row in rows
    ]  # fmt: skip
    console.print(table("Health 健康状况", columns[:shown], lines))
    for row in rows:
        if row["reason"]:
            console.print(
                Text.assemble(f"{row['table']}: ", state(row["state"]), f": {row['reason']}"), soft_wrap=True
            )


def holds_something(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a table was refused, failed, or has held tags."""
    return any(row["state"] not in _WELL for row in rows)


def function_table() -> RenderableType:
    """Everything an expression may use."""
    rows = [[item.signature, item.en, item.zh] for item in FUNCTIONS.values()]
    return table("Expressions 表达式: operators and functions", ["write", "meaning", "含义"], rows)


def functions_json() -> list[dict[str, Any]]:
    return [
        {"name": name, "signature": f.signature, "operator": f.operator, "en": f.en, "zh": f.zh}
        for name, f in FUNCTIONS.items()
    ]


def print_problems(console: Console, problems: Sequence[Problem]) -> None:
    """One line each, never folded: editors and scripts read them."""
    for problem in problems:
        console.print(Text(str(problem)), soft_wrap=True)
    mistakes = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    console.print(Text(mistakes, style="red"))


def print_checked(catalog: str | None, *, as_json: bool) -> bool:
    """Every mistake of a catalog, or what it holds; whether it is sound."""
    try:
        resolved = open_setting(catalog, None).resolved
    except CatalogError as error:
        if as_json:
            print_json({"ok": False, "problems": [problem.to_json() for problem in error.problems]})
        else:
            print_problems(screen(), error.problems)
        return False
    counts, name = catalog_counts(resolved), resolved.catalog.project.name
    if as_json:
        print_json({"ok": True, "catalog": name, **counts, "problems": []})
    else:
        words = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        screen().print(f"{name}: {words}; no mistake", markup=False)
    return True


def catalog_counts(resolved: Resolved) -> dict[str, int]:
    """How much a catalog holds."""
    return {
        "sources": len(resolved.sources),
        "categories": len(resolved.categories),
        "tags": len(resolved.tags),
        "scores": len(resolved.scores),
        "segments": len(resolved.segments),
        "reports": len(resolved.reports),
        "placements": len(resolved.placements),
        "allocations": len(resolved.allocations),
        "destinations": len(resolved.destinations),
        "deliveries": len(resolved.deliveries),
        "triggers": len(resolved.triggers),
    }

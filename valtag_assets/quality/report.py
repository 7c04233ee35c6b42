"""What a report must satisfy: its columns, and that its numbers are those of the tables it stands beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valtag_assets.expression.resolved import Resolved, ResolvedReport
from valtag_assets.quality.column import Column, present, rule_at
from valtag_assets.quality.expectation import UNIQUE, Expectation
from valtag_assets.quality.outcome import plain
from valtag_assets.quality.table import schema
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.report import ROW
from valtag_assets.spec.types import INTEGER, DataType
from valtag_assets.warehouse.snapshot import Verdict


@dataclass(frozen=True)
class Agreement:
    """Two ways to one number. ``what`` names it (ASCII); ``place`` is where the report speaks of it."""

    what: str
    title: Title
    place: tuple[str | int, ...] = ()


def report_expectations(
    resolved: Resolved, report: ResolvedReport, columns: Mapping[str, DataType]
) -> list[Expectation]:
    """One line per number, and the columns of the catalog. ``columns``: those of the report's table."""
    line = Title(zh="行号", en="Line")
    column = Column(ROW, INTEGER, line, ROW, "table", "values", report.entry, (), resolved.catalog.root, {})
    once = column.expectation("unique", UNIQUE, {}, Title(zh="每行一次", en="each line once"))
    return [present(column), once, *schema(report.entry, resolved, columns)]


def agreement_verdicts(
    resolved: Resolved,
    entry: Entry[Any],
    agreements: Sequence[Agreement],
    found: Mapping[str, tuple[Any, Any]] | None,
) -> list[Verdict]:
    """A verdict per agreement: an error that keeps the table of ``entry`` from being published when the two differ.

    ``found``: what the table says, and what the other table says, by ``what``. One that could not be compared,
    as the other table's value is held, is missing there and gives no verdict. None: none was compared yet.
    """
    verdicts = []
    for item in agreements:
        if found is not None and item.what not in found:
            continue
        said, other = found[item.what] if found is not None else (None, None)
        detail: dict[str, Any] = {
            "title": {"zh": item.title.zh, "en": item.title.en},
            "rule": rule_at(entry, resolved.catalog.root, *item.place),
            "observed": plain(said),
            "expected": plain(other),
            "sample": [],
        }
        agree = said == other
        verdicts.append(Verdict(f"agrees.{item.what}", None, "error", agree, "table", 0 if agree else 1, 1, detail))
    return verdicts

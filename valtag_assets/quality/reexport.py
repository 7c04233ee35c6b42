"""What a re-export may do to a source: bring fewer rows than there were, or write the person's key otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.quality.column import rule_at
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import Verdict

# Of fewer rows a share says nothing: one return cancelled of two is no collapse.
FEWEST = 20


@dataclass(frozen=True)
class Shrunk:
    """A file or month (``name``) that lost rows."""

    name: str
    before: int
    now: int

    def __str__(self) -> str:
        return f"{self.name} {self.before} → {self.now} rows"


def shrunk(before: Mapping[str, int], now: Mapping[str, int], most_drop: float) -> list[Shrunk]:
    """Those of ``before`` that lost more than the share ``most_drop`` of their rows; what is gone has none."""
    found = (Shrunk(name, rows, now.get(name, 0)) for name, rows in before.items())
    return [item for item in found if item.before >= FEWEST and item.now < round((1 - most_drop) * item.before, 6)]


def reexport_verdicts(
    resolved: Resolved, source: ResolvedSource, losses: Sequence[str], person_types: Mapping[str, str]
) -> list[Verdict]:
    """Whether a file or month lost too many rows (``losses``: those that did, in words), and whether the person's
    key has one type in all files (``person_types``: DuckDB type by file).

    The type matters where the key is read as text only: a number has no leading zeros, and a fraction has a
    point, so 7, 007 and 7.0 are three persons.
    """
    most, person = source.spec.checks.max_rows_drop, source.spec.person
    title = Title(
        zh=f"重新导出的文件与已完整的月份各自至多减少 {most:.0%}",
        en=f"no re-exported file and no complete month loses more than {most:.0%} of its rows",
    )
    rule = rule_at(source.entry, resolved.catalog.root, "checks", "max_rows_drop")
    found = [_verdict("shrunk", title, rule, not losses, _named(losses), f"at least {1 - most:.0%} of each")]
    if person is not None and source.columns[person].kind == "text":
        families: dict[str, list[str]] = {}
        for file, kind in sorted(person_types.items()):
            families.setdefault(_family(kind), []).append(file)
        title = Title(zh=f"{person} 在各文件中类型相同", en=f"{person} has the same type in every file")
        rule = rule_at(source.entry, resolved.catalog.root, "person")
        seen = "; ".join(f"{family} in {_named(files)}" for family, files in sorted(families.items()))
        found.append(_verdict("person_type", title, rule, len(families) < 2, seen, "one type"))
    return found


def _named(items: Sequence[str]) -> str:
    return ", and ".join([*items[:1], *([f"{len(items) - 1} more"] if len(items) > 1 else [])]) or "none"


def _family(kind: str) -> str:
    if kind.endswith("INT") or kind == "INTEGER":
        return "whole number"
    if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
        return "fraction"
    return "text" if kind == "VARCHAR" else kind.lower()


def _verdict(check: str, title: Title, rule: str, passed: bool, observed: str, expected: str) -> Verdict:
    detail: dict[str, Any] = {
        "title": {"zh": title.zh, "en": title.en},
        "rule": rule,
        "observed": observed,
        "expected": expected,
        "sample": [],
    }
    return Verdict(check, None, "error", passed, "table", detail=detail)

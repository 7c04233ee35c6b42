"""What a run amounts to, gathered from the warehouse and from what the run told."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from valtag_assets.console.exits import Exit
from valtag_assets.delivery.message import OPEN
from valtag_assets.engine.ltv.scoring import value_groups
from valtag_assets.engine.rfm import Group, tier_groups
from valtag_assets.expression.resolved import (
    ResolvedCategory,
    ResolvedLtv,
    ResolvedReport,
    ResolvedRfm,
    ResolvedScore,
    ResolvedSegment,
)
from valtag_assets.expression.resolved_delivery import ResolvedDelivery, ResolvedTrigger
from valtag_assets.graph.gates import why_held
from valtag_assets.graph.report import Ran
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import TIMELESS
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

NOT_TRIED = "not tried"
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Failure|Interrupt)\b.*")
_STOPPED = ("refused", "failed")


@dataclass(frozen=True)
class SourceRows:
    """The account of a source; the numbers are None when it was not read. ``rules``: most frequent first."""

    code: str
    title: Title
    state: str
    rows_in: int | None = None
    clean: int | None = None
    quarantined: int | None = None
    merged: int | None = None
    filtered: int | None = None
    rules: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class CategoryTags:
    """The tags of a category: coverages are shares of the persons, 0 to 1."""

    code: str
    title: Title
    state: str
    tags: int
    persons: int | None = None
    coverage: float | None = None
    lowest: str | None = None
    lowest_coverage: float | None = None


@dataclass(frozen=True)
class ScoreTiers:
    """The tiers of a score. ``money``: what their monetary values and shares are of, past revenue or CLV."""

    code: str
    title: Title
    state: str
    tiers: tuple[Group, ...] = ()
    money: str = "revenue"


@dataclass(frozen=True)
class SegmentSize:
    """An audience and what changed since the snapshot of an earlier as-of."""

    code: str
    title: Title
    state: str
    size: int | None = None
    share: float | None = None
    entries: int | None = None
    exits: int | None = None


@dataclass(frozen=True)
class ReportLines:
    """A report: how many lines it has beside the one of all, and how many of its comparisons agree."""

    code: str
    title: Title
    state: str
    lines: int | None = None
    agree: int | None = None
    compared: int | None = None


@dataclass(frozen=True)
class TriggerDecisions:
    """A trigger: how many persons entered or wait at the as-of, by decision."""

    code: str
    title: Title
    state: str
    decided: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DeliveryMessages:
    """A delivery: how many members the destination should hold, and its messages by operation; None when none ran.

    ``open``: messages that have come to no end yet; ``refused``: those the destination did not take.
    """

    code: str
    title: Title
    destination: str
    state: str
    desired: int | None = None
    add: int | None = None
    change: int | None = None
    remove: int | None = None
    refused: int | None = None
    open: int | None = None


@dataclass(frozen=True)
class Stopped:
    """A table that was not published, why, and what is served instead."""

    table: str
    outcome: str
    reason: str
    served: str


@dataclass(frozen=True)
class HeldTag:
    """A tag whose readers are held."""

    table: str
    tag: str
    reason: str


@dataclass(frozen=True)
class Checks:
    """How many verdicts passed, failed as a warning, and held something."""

    passed: int = 0
    warned: int = 0
    held: int = 0


@dataclass(frozen=True)
class Summary:
    """Everything a run has to say at its end."""

    catalog: str
    title: Title
    as_of: date
    changed: bool
    published: int
    sources: tuple[SourceRows, ...]
    categories: tuple[CategoryTags, ...]
    scores: tuple[ScoreTiers, ...]
    segments: tuple[SegmentSize, ...]
    reports: tuple[ReportLines, ...]
    triggers: tuple[TriggerDecisions, ...]
    deliveries: tuple[DeliveryMessages, ...]
    checks: Checks
    warnings: tuple[str, ...]
    held: tuple[HeldTag, ...]
    stopped: tuple[Stopped, ...]
    unreadable: Mapping[str, str]
    seconds: Mapping[str, float]
    exit: Exit

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"exit": int(self.exit), "as_of": self.as_of.isoformat()}


def summarize(setting: Setting, ran: Ran) -> Summary:
    """The summary of a run, restricted to the tables it was asked for."""
    return _Summing(setting, ran).summary()


class _Summing:
    def __init__(self, setting: Setting, ran: Ran) -> None:
        self.setting = setting
        self.ran = ran
        self.outcomes = {item.table: item for item in ran.done}

    def summary(self) -> Summary:
        resolved, ran = self.setting.resolved, self.ran
        stopped = tuple(self._stopped())
        held = tuple(self._held())
        verdicts = [verdict for table in sorted(ran.tables) for verdict in self._verdicts(table)]
        return Summary(
            catalog=self.setting.name,
            title=resolved.catalog.project.title,
            as_of=ran.as_of,
            changed=ran.new,
            published=sum(item.outcome == "published" for item in ran.done),
            sources=tuple(self._source(c) for c in resolved.sources if f"clean/{c}" in ran.tables),
            categories=tuple(
                self._category(c) for c in resolved.categories.values() if f"tags/{c.code}" in ran.tables
            ),
            scores=tuple(self._score(s) for s in resolved.scores.values() if f"scores/{s.code}" in ran.tables),
            segments=tuple(
                self._segment(s) for s in resolved.segments.values() if f"segments/{s.code}" in ran.tables
            ),
            reports=tuple(self._report(r) for r in resolved.reports.values() if f"reports/{r.code}" in ran.tables),
            triggers=tuple(
                self._trigger(item) for item in resolved.triggers.values() if f"triggers/{item.code}" in ran.tables
            ),
            deliveries=tuple(
                self._delivery(d) for d in resolved.deliveries.values() if f"deliveries/{d.code}" in ran.tables
            ),
            checks=_counted(verdicts),
            warnings=tuple(self._warnings()),
            held=held,
            stopped=stopped,
            unreadable=ran.unreadable,
            seconds=self._seconds(),
            exit=self._exit(stopped, held),
        )

    def _exit(self, stopped: Sequence[Stopped], held: Sequence[HeldTag]) -> Exit:
        faulty = [item for item in stopped if item.outcome == "failed" and item.table not in self.ran.unreadable]
        if self.ran.faults or faulty:
            return Exit.FAULT
        if self.ran.unreadable:
            return Exit.WRONG
        return Exit.HELD if stopped or held else Exit.DONE

    def _state(self, table: str) -> str:
        """What became of a table: its outcome, or that it was not even tried."""
        if not self.ran.new:
            return "unchanged"
        item = self.outcomes.get(table)
        if item is None:
            return NOT_TRIED
        return "unchanged" if item.outcome == "reused" else item.outcome

    def _served(self, table: str) -> Snapshot | None:
        """The snapshot of this as-of, or of a table without one; None when the run did not get there."""
        ref = TableRef.parse(table)
        as_of = None if ref.stage in TIMELESS else self.ran.as_of
        return self.setting.warehouse.current(ref, as_of)

    def _good(self, table: str) -> Snapshot | None:
        """The snapshot of this run; None when the run left none."""
        return self._served(table) if self._state(table) in ("published", "unchanged") else None

    def _verdicts(self, table: str) -> Iterable[Verdict]:
        snapshot = self._good(table)
        if snapshot is not None:
            return snapshot.verdicts
        ref = TableRef.parse(table)
        as_of = None if ref.stage in TIMELESS else self.ran.as_of
        attempt = self.setting.warehouse.last_attempt(ref, as_of) if table in self.outcomes else None
        return attempt.verdicts if attempt is not None else ()

    def _source(self, code: str) -> SourceRows:
        title = self.setting.resolved.sources[code].spec.title
        state = self._state(f"clean/{code}")
        item = self.outcomes.get(f"clean/{code}")
        never_read = item is not None and (item.reason or "").startswith(("inputs held", "SourceError"))
        # The quarantine is published even when the clean table is not.
        snapshot = None if never_read or state == NOT_TRIED else self._served(f"quarantine/{code}")
        account = snapshot.metrics.get("account") if snapshot else None
        if account is None:
            return SourceRows(code, title, state)
        rules = sorted(account["by_rule"].items(), key=lambda rule: (-rule[1], rule[0]))
        numbers = {name: account[name] for name in ("rows_in", "clean", "quarantined", "merged", "filtered")}
        return SourceRows(code, title, state, **numbers, rules=tuple(rules))

    def _category(self, category: ResolvedCategory) -> CategoryTags:
        title = self.setting.resolved.catalog.categories[category.code].spec.title
        state, tags = self._state(f"tags/{category.code}"), [tag.code for tag in category.tags]
        snapshot = self._good(f"tags/{category.code}")
        columns = snapshot.metrics.get("profile", {}).get("columns", {}) if snapshot else {}
        covered = {code: columns[code]["coverage"] for code in tags if code in columns}
        if snapshot is None or not covered:
            return CategoryTags(category.code, title, state, len(tags))
        lowest = min(covered, key=lambda code: (covered[code], code))
        mean = sum(covered.values()) / len(covered)
        return CategoryTags(category.code, title, state, len(tags), snapshot.rows, mean, lowest, covered[lowest])

    def _score(self, score: ResolvedScore) -> ScoreTiers:
        snapshot = self._good(f"scores/{score.code}")
        code, title, state = score.code, score.spec.title, self._state(f"scores/{score.code}")
        if isinstance(score, ResolvedLtv):
            found = value_groups(score.spec, snapshot.metrics["tiers"]) if snapshot else []
            return ScoreTiers(code, title, state, tuple(found), "CLV")
        cells = snapshot.metrics.get("cells", []) if snapshot else []
        tiers = tuple(tier_groups(score.spec, cells)) if cells and isinstance(score, ResolvedRfm) else ()
        return ScoreTiers(code, title, state, tiers)

    def _segment(self, segment: ResolvedSegment) -> SegmentSize:
        table, title = f"segments/{segment.code}", segment.spec.title
        snapshot = self._good(table)
        if snapshot is None:
            return SegmentSize(segment.code, title, self._state(table))
        everybody = snapshot.metrics.get("population")
        part = snapshot.rows / everybody if everybody else None
        changes = [snapshot.metrics.get(name) for name in ("entries", "exits")]
        return SegmentSize(segment.code, title, self._state(table), snapshot.rows, part, *changes)

    def _report(self, report: ResolvedReport) -> ReportLines:
        table, title = f"reports/{report.code}", report.spec.title
        snapshot = self._good(table)
        if snapshot is None:
            return ReportLines(report.code, title, self._state(table))
        compared = [verdict.passed for verdict in snapshot.verdicts if verdict.check.startswith("agrees.")]
        lines = snapshot.rows - 1
        return ReportLines(report.code, title, self._state(table), lines, sum(compared), len(compared))

    def _trigger(self, trigger: ResolvedTrigger) -> TriggerDecisions:
        table, decided = f"triggers/{trigger.code}", defaultdict[str, int](int)
        snapshot = self._good(table)
        for row in snapshot.metrics["decided"] if snapshot is not None else ():
            decided[row["decision"]] += row["n"]
        return TriggerDecisions(trigger.code, trigger.spec.title, self._state(table), dict(decided))

    def _delivery(self, delivery: ResolvedDelivery) -> DeliveryMessages:
        table, title, to = f"deliveries/{delivery.code}", delivery.spec.title, delivery.destination.code
        state, snapshot = self._state(table), self._good(table)
        if snapshot is None or "difference" not in snapshot.metrics:
            return DeliveryMessages(delivery.code, title, to, state)
        found, rows = snapshot.metrics["difference"], snapshot.metrics["outcomes"]
        counts = {name: found[name] for name in ("desired", "add", "change", "remove")}
        refused = sum(row["messages"] for row in rows if row["state"] in ("rejected", "dead"))
        still_open = sum(row["messages"] for row in rows if row["state"] in OPEN)
        return DeliveryMessages(delivery.code, title, to, state, **counts, refused=refused, open=still_open)

    def _stopped(self) -> Iterator[Stopped]:
        for item in self.ran.done:
            if item.outcome in _STOPPED:
                yield Stopped(item.table, item.outcome, item.reason or "", self._instead(item.table))
        if self.ran.new:
            for table in sorted(self.ran.tables - self.outcomes.keys()):
                if table in self.ran.faults:
                    yield Stopped(table, "failed", _last_line(self.ran.faults[table]), self._instead(table))
                else:
                    reason = "a table it reads was not published"
                    yield Stopped(table, NOT_TRIED, reason, self._instead(table))

    def _instead(self, table: str) -> str:
        good = self.setting.warehouse.latest(TableRef.parse(table))
        if good is None:
            return "nothing"
        return f"{good.id} of {good.as_of}" if good.as_of else good.id

    def _held(self) -> Iterator[HeldTag]:
        for table in sorted(self.ran.tables):
            snapshot = self._good(table)
            for tag in sorted(snapshot.held) if snapshot else ():
                assert snapshot is not None
                yield HeldTag(table, tag, why_held(snapshot, tag))

    def _warnings(self) -> Iterator[str]:
        for table in sorted(self.ran.tables):
            for verdict in self._verdicts(table):
                if not verdict.passed and verdict.severity == "warn":
                    where = f"{table}.{verdict.column}" if verdict.column else table
                    rows = f": {verdict.unexpected:,} of {verdict.evaluated:,}" if verdict.unexpected else ""
                    yield f"{where}: {verdict.check}{rows}"

    def _seconds(self) -> dict[str, float]:
        """Per stage, then what is not inside any table (Dagster and start-up), then all of it."""
        stages: dict[str, float] = defaultdict(float)
        for item in self.ran.done:
            stages[item.table.partition("/")[0]] += item.seconds
        rest = max(0.0, self.ran.seconds - sum(stages.values()))
        found = {**stages, "around the tables": rest} if stages else {}
        return {name: round(value, 2) for name, value in {**found, "all": self.ran.seconds}.items()}


def _counted(verdicts: Sequence[Verdict]) -> Checks:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    warned = sum(verdict.severity == "warn" for verdict in failed)
    return Checks(len(verdicts) - len(failed), warned, len(failed) - warned)


def _last_line(trace: str) -> str:
    """The error itself, out of the trace of a step that Dagster wrapped: the cause is told last."""
    lines = trace.partition("\n\nThe above exception")[2] or trace
    named = [line for line in lines.splitlines() if _ERROR.match(line)]
    return named[0] if named else "an error of valtag"

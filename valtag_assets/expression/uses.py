"""Who reads a tag: itself, and through other tags, scores and segments; and which automations rest on it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import ResolvedTrigger, TravellingField
from valtag_assets.expression.rule import columns_read, members_read

Thing = tuple[str, str]  # (kind, code)
AUTOMATIONS = ("trigger", "delivery")
# What works by itself once it is written down, and may depend on tags.
AUTOMATED = ("segment", "trigger", "delivery", "placement", "report")


@dataclass(frozen=True)
class Uses:
    """Everything that depends on a tag: ``direct`` reads it itself, ``indirect`` reads what reads it."""

    direct: tuple[Thing, ...]
    indirect: tuple[Thing, ...]

    @property
    def automations(self) -> tuple[Thing, ...]:
        """The triggers and deliveries that depend on it, either way."""
        return tuple(thing for thing in sorted((*self.direct, *self.indirect)) if thing[0] in AUTOMATIONS)


def tag_uses(resolved: Resolved) -> dict[str, Uses]:
    """The uses of every tag of the catalog."""
    readers: dict[Thing, set[Thing]] = defaultdict(set)
    for reader, read in _reads(resolved):
        for thing in read:
            readers[thing].add(reader)
    return {code: _uses(readers, ("tag", code)) for code in resolved.tags}


def automations(resolved: Resolved) -> list[Thing]:
    """Everything that sends by itself."""
    return [("trigger", code) for code in resolved.triggers] + [("delivery", code) for code in resolved.deliveries]


def dependence(resolved: Resolved) -> dict[str, tuple[int, int]]:
    """Of each kind of thing in ``AUTOMATED``: how many depend on a tag, either way, and how many there are."""
    own = [resolved.segments, resolved.triggers, resolved.deliveries, resolved.placements, resolved.reports]
    depend = {thing for uses in tag_uses(resolved).values() for thing in (*uses.direct, *uses.indirect)}
    return {
        kind: (sum((kind, code) in depend for code in codes), len(codes))
        for kind, codes in zip(AUTOMATED, own, strict=True)
    }


def _uses(readers: Mapping[Thing, set[Thing]], thing: Thing) -> Uses:
    direct = readers.get(thing, set()) - {thing}
    known, waiting = {thing} | direct, list(direct)
    while waiting:
        more = readers.get(waiting.pop(), set()) - known
        known |= more
        waiting.extend(more)
    return Uses(tuple(sorted(direct)), tuple(sorted(known - direct - {thing})))


def _reads(resolved: Resolved) -> Iterator[tuple[Thing, set[Thing]]]:
    """Everything that reads tags, scores or segments, and what."""
    for code, tag in resolved.tags.items():
        yield ("tag", code), _columns(resolved, tag.tags)
    for code, score in resolved.scores.items():
        yield ("score", code), _columns(resolved, score.tags)
    for code, segment in resolved.segments.items():
        yield ("segment", code), _columns(resolved, segment.tags | segment.scores) | _segments(segment.segments)
    for code, report in resolved.reports.items():
        yield ("report", code), _columns(resolved, report.tags | report.scores) | _segments(report.segments)
    for code, placement in resolved.placements.items():
        read = _columns(resolved, placement.tags | placement.scores)
        yield ("placement", code), read | _segments(placement.segments)
    for code, allocation in resolved.allocations.items():
        money = [allocation.monetary] if allocation.monetary is not None else []
        yield ("allocation", code), _columns(resolved, [allocation.spec.of, *money])
    for code, delivery in resolved.deliveries.items():
        yield ("delivery", code), _fields(resolved, delivery.fields) | _segments([delivery.spec.segment])
    for code, trigger in resolved.triggers.items():
        yield ("trigger", code), _of_trigger(resolved, trigger)


def _of_trigger(resolved: Resolved, trigger: ResolvedTrigger) -> set[Thing]:
    """What decides and what travels; not what is kept only to judge by."""
    found: set[Thing] = set()
    for rule in trigger.rules.values():
        found |= _columns(resolved, columns_read(rule)) | _segments(members_read(rule, "segment"))
    for action in trigger.spec.actions:
        found |= _columns(resolved, action.fields.values())
        found |= _fields(resolved, resolved.destinations[action.to].fields)
    return found


def _fields(resolved: Resolved, fields: Iterable[TravellingField]) -> set[Thing]:
    travelling = list(fields)
    columns = [field.source for field in travelling if field.kind in ("tag", "score")]
    return _columns(resolved, columns) | _segments(field.source for field in travelling if field.kind == "segment")


def _columns(resolved: Resolved, columns: Iterable[str]) -> set[Thing]:
    found: set[Thing] = set()
    for column in columns:
        score = resolved.score_of(column)
        found.add(("tag", column) if score is None else ("score", score))
    return found


def _segments(codes: Iterable[str]) -> set[Thing]:
    return {("segment", code) for code in codes}

"""Allocations resolved: their column found, its values each named once, the shares summed."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from valtag_assets.expression.resolved import ResolvedAllocation, ResolvedScore, ResolvedTag
from valtag_assets.spec.allocation import Allocation
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.ltv import Ltv
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.score import Rfm


def resolve_allocations(
    catalog: Catalog,
    tags: Mapping[str, ResolvedTag],
    scores: Mapping[str, ResolvedScore],
    problems: list[Problem],
) -> dict[str, ResolvedAllocation]:
    """Every allocation over a column with known values; mistakes go to ``problems``."""
    known = _known_values(tags, scores)
    found = {}
    for code, entry in catalog.allocations.items():
        column = entry.spec.of
        if column not in known:
            problems.append(entry.problem(_no_column(column, tags, known), "of"))
            continue
        problems += [*_tier_faults(entry, known[column]), *_channel_faults(catalog, entry)]
        score = next((item for item in scores.values() if column in item.columns), None)
        monetary = _monetary(score) if score is not None else None
        found[code] = ResolvedAllocation(code, entry, monetary, _meaning(entry.spec, known[column], monetary))
    return found


def _monetary(score: ResolvedScore) -> str:
    """The tag of what was spent, as the score reads it."""
    spec: Rfm | Ltv = score.spec
    return spec.monetary if isinstance(spec, Rfm) else spec.spend


def _known_values(tags: Mapping[str, ResolvedTag], scores: Mapping[str, ResolvedScore]) -> dict[str, tuple[str, ...]]:
    """The text columns that may be tiers: code → every value there is."""
    found = {}
    for code, tag in tags.items():
        if tag.values and tag.type.kind == "text":
            empty = () if tag.spec.empty is None else (str(tag.spec.empty),)
            found[code] = tuple(dict.fromkeys((*tag.values, *empty)))
    for score in scores.values():
        found |= {column: tuple(values) for column, values in score.values.items()}
    return found


def _no_column(column: str, tags: Mapping[str, ResolvedTag], known: Mapping[str, tuple[str, ...]]) -> str:
    if column in tags:
        return (
            f"'{column}' has no list of values, so there is no saying who is left out: "
            f"take a tier of a score or a band, or give it a domain{did_you_mean(column, list(known))}"
        )
    return f"'{column}' is no column of a score and no tag with known values{did_you_mean(column, list(known))}"


def _tier_faults(entry: Entry[Allocation], values: tuple[str, ...]) -> Iterator[Problem]:
    spec, seen = entry.spec, set[str]()
    for number, item in enumerate(spec.tiers):
        if item.tier not in values:
            message = f"'{item.tier}' is no value of {spec.of}{did_you_mean(item.tier, values)}"
            yield entry.problem(message, "tiers", number, "tier")
        elif item.tier in seen:
            message = f"'{item.tier}' is named twice: join its shares in one entry"
            yield entry.problem(message, "tiers", number, "tier")
        seen.add(item.tier)
    if missing := [value for value in values if value not in seen]:
        message = f"{', '.join(missing)} of {spec.of} {'is' if len(missing) == 1 else 'are'} missing: give share 0"
        yield entry.problem(f"{message} to what gets nothing", "tiers")
    whole = sum((item.share for item in spec.tiers), Decimal(0))
    if whole != 1:
        left = f"{1 - whole} is left over" if whole < 1 else f"{whole - 1} is too much"
        yield entry.problem(f"the shares sum to {whole}, and must sum to 1: {left}", "tiers")


def _channel_faults(catalog: Catalog, entry: Entry[Allocation]) -> Iterator[Problem]:
    known = [channel.code for channel in catalog.project.channels]
    for number, item in enumerate(entry.spec.tiers):
        if item.channel is not None and item.channel not in known:
            message = f"'{item.channel}' is no channel of project.yaml{did_you_mean(item.channel, known)}"
            yield entry.problem(message, "tiers", number, "channel")


def _meaning(spec: Allocation, values: tuple[str, ...], monetary: str | None) -> str:
    unnamed = spec.model_copy(update={"title": None, "meaning": None, "owner": None})
    return repr((repr(unnamed), values, monetary))

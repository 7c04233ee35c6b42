"""Destinations and deliveries resolved: what travels under which name, and to where."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from valtag_assets.expression.resolved_delivery import ResolvedDelivery, ResolvedDestination, TravellingField
from valtag_assets.expression.scope import Scope
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.destination import ABOUT, Destination, Travelling, placeholders
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.types import BOOLEAN, TEXT


def resolve_destinations(
    catalog: Catalog, tags: Collection[str], columns: Scope, problems: list[Problem]
) -> dict[str, ResolvedDestination]:
    """Every destination; ``columns`` are the tags and score columns. Mistakes go to ``problems``."""
    channels = [channel.code for channel in catalog.project.channels]
    found = {}
    for code, entry in catalog.destinations.items():
        spec = entry.spec
        fields = travelling(catalog, entry, spec.fields, tags, columns, problems)
        if spec.access is not None and spec.access not in catalog.access.roles:
            known = sorted(catalog.access.roles)
            problems.append(entry.problem(f"'{spec.access}' is no role{did_you_mean(spec.access, known)}", "access"))
        if spec.channel is not None and channels and spec.channel not in channels:
            message = f"'{spec.channel}' is no channel of project.yaml{did_you_mean(spec.channel, channels)}"
            problems.append(entry.problem(message, "channel"))
        found[code] = ResolvedDestination(code, entry, fields)
    return found


def resolve_deliveries(
    catalog: Catalog,
    destinations: Mapping[str, ResolvedDestination],
    tags: Collection[str],
    columns: Scope,
    problems: list[Problem],
) -> dict[str, ResolvedDelivery]:
    """Every delivery whose destination there is; mistakes go to ``problems``."""
    found = {}
    for code, entry in catalog.deliveries.items():
        spec = entry.spec
        if spec.segment not in catalog.segments:
            message = f"'{spec.segment}' is no segment{did_you_mean(spec.segment, list(catalog.segments))}"
            problems.append(entry.problem(message, "segment"))
        to = destinations.get(spec.to)
        if to is None:
            message = f"'{spec.to}' is no destination{did_you_mean(spec.to, list(destinations))}"
            problems.append(entry.problem(message, "to"))
            continue
        own = spec.fields
        fields = to.fields if own is None else travelling(catalog, entry, own, tags, columns, problems)
        problems.extend(_unfilled(entry, to.spec, {field.name for field in fields}))
        found[code] = ResolvedDelivery(code, entry, to, fields)
    return found


def travelling(
    catalog: Catalog,
    entry: Entry[Any],
    fields: Mapping[str, Travelling],
    tags: Collection[str],
    columns: Scope,
    problems: list[Problem],
) -> tuple[TravellingField, ...]:
    """The fields with what each stands for; ``entry`` is where they are written."""
    found = []
    for name, item in fields.items():
        symbol = columns.get(item.of)
        if symbol is None and item.of not in catalog.segments:
            nearest = did_you_mean(item.of, [*(other.code for other in columns), *catalog.segments])
            message = f"'{item.of}' is no tag, score or segment{nearest}"
            problems.append(entry.problem(message, "fields", name))
            continue
        kind = "segment" if symbol is None else "tag" if item.of in tags else "score"
        of = BOOLEAN if symbol is None else symbol.type
        found.append(TravellingField(name, item.of, kind, TEXT if item.mask else of, item.mask))  # type: ignore[arg-type]
    return tuple(found)


def _unfilled(entry: Entry[Any], to: Destination, names: Collection[str]) -> Iterator[Problem]:
    """Names in the receiver's template that this delivery does not fill."""
    for name in sorted(placeholders(to.body) - {*names, *ABOUT}):
        message = f"the body of {to.destination} names {{{name}}}, and no such field travels"
        yield entry.problem(message + did_you_mean(name, [*names, *ABOUT]), "to")

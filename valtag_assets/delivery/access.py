"""Which fields a destination may be sent: its role, the masks, and what never lies in the ledger."""

from collections.abc import Iterator
from typing import Any

from valtag_assets.engine.access import may_read, segment_level, served_levels
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import ResolvedDestination, TravellingField
from valtag_assets.spec.block import Access
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.problem import Problem


def field_level(resolved: Resolved, field: TravellingField) -> Access:
    """The level of what travels as ``field``."""
    if field.kind == "segment":
        return segment_level(resolved, field.source)
    return "public" if field.kind == "text" else served_levels(resolved)[field.source]


def is_contact(resolved: Resolved, field: TravellingField) -> bool:
    """Whether the field is personal: then it is joined when a message is sent, and never lies in the ledger."""
    return field.mask is not None or field_level(resolved, field) == "pii"


def access_mistakes(resolved: Resolved) -> Iterator[Problem]:
    """Fields above the level of their destination's role that travel unmasked."""
    for destination in resolved.destinations.values():
        yield from _above(resolved, destination, destination.entry, destination.fields)
    for delivery in resolved.deliveries.values():
        if delivery.spec.fields is not None:
            yield from _above(resolved, delivery.destination, delivery.entry, delivery.fields)


def _above(
    resolved: Resolved, to: ResolvedDestination, entry: Entry[Any], fields: tuple[TravellingField, ...]
) -> Iterator[Problem]:
    access = resolved.catalog.access
    role = to.spec.access or access.default_role
    level = access.roles.get(role)
    for field in fields:
        if level is not None and field.mask is None and not may_read(level, field_level(resolved, field)):
            message = (
                f"'{field.source}' is {field_level(resolved, field)}, and {to.code} has the role {role} ({level}):"
                " give it a mask (last4, drop, or hmac), or the destination a role that may read it"
            )
            yield entry.problem(message, "fields", field.name)

"""Which fields a destination may be sent: its role, its purpose, the masks, and what never lies in the ledger.

A delivery and a trigger run in the name of their destination's role: what travels is what that role may read.
"""

from collections.abc import Iterator
from typing import Any

from valtag_assets.engine.access import Need, segment_need, served_need, trigger_need
from valtag_assets.engine.reader import Denied, Reader, reader_of
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import ResolvedDestination, TravellingField
from valtag_assets.spec.access import ALL, Asking, names
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import Problem


def field_need(resolved: Resolved, field: TravellingField) -> Need:
    """What it takes to read what travels as ``field``."""
    if field.kind == "segment":
        return segment_need(resolved, field.source)
    return Need("public") if field.kind == "text" else served_need(resolved, field.source)


def is_contact(resolved: Resolved, field: TravellingField) -> bool:
    """Whether the field is personal: then it is joined when a message is sent, and never lies in the ledger."""
    return field.mask is not None or field_need(resolved, field).level == "pii"


def receiver(resolved: Resolved, to: ResolvedDestination) -> Reader:
    """Who reads what is sent to a destination. Raises Denied where nothing may be sent to its role."""
    asking = Asking(to.spec.access, f"destination {to.code}", to.spec.purpose)
    reader = reader_of(resolved, "deliver", asking, {}, by_key=True)
    if not names(reader.rights.destinations, to.code):
        raise Denied(f"deliver: role {reader.role} has no right to the destination {to.code}")
    return reader


def access_mistakes(resolved: Resolved) -> Iterator[Problem]:
    """Destinations whose role or purpose does not cover what travels to them unmasked, and whom it is about."""
    for to in resolved.destinations.values():
        try:
            reader = receiver(resolved, to)
        except Mistake as error:
            yield to.entry.problem(str(error), "purpose" if "purpose" in str(error) else "access")
            continue
        yield from _above(reader, to, to.entry, to.fields)
        for delivery in resolved.deliveries.values():
            if delivery.destination.code == to.code:
                yield from _above(reader, to, delivery.entry, delivery.fields if delivery.spec.fields else ())
                need = segment_need(resolved, delivery.spec.segment)
                if not reader.counts_hidden and not reader.may(need):
                    what = f"who is in {delivery.spec.segment}"
                    yield delivery.entry.problem(str(reader.denied(need, what)), "segment")
    yield from _triggers(resolved)


def _above(
    reader: Reader, to: ResolvedDestination, entry: Entry[Any], fields: tuple[TravellingField, ...]
) -> Iterator[Problem]:
    for field in fields:
        need = field_need(reader.resolved, field)
        if field.mask is None and not reader.may(need):
            message = (
                f"'{field.source}' is {need.level}, and {to.code} has the role {reader.role} ({reader.level}):"
                " give it a mask (last4, drop, or hmac), or the destination a role that may read it"
            )
            yield entry.problem(message, "fields", field.name)


def _triggers(resolved: Resolved) -> Iterator[Problem]:
    """Actions of triggers at destinations that may not know of it. What reads a level alone is as ever."""
    for trigger in resolved.triggers.values():
        for number, action in enumerate(trigger.spec.actions):
            to = resolved.destinations[action.to]
            try:
                reader = receiver(resolved, to)
            except Mistake:
                continue  # said of the destination
            place = ("actions", number, "to")
            if reader.brands is not None:
                own = ", ".join(sorted(reader.brands))
                message = f"{to.code} may be sent persons of {own} alone, and a trigger names those of every brand"
                yield trigger.entry.problem(message, *place)
            need = trigger_need(resolved, trigger.code)
            if not reader.counts_hidden and not reader.may(need):
                yield trigger.entry.problem(str(reader.denied(need, f"whom {trigger.code} names")), *place)
            for name, source in action.fields.items():
                # Of a level that is too high the trigger's own resolving has told.
                if reader.level == reader.rights.level and ALL in reader.rights.categories:
                    continue
                need = served_need(resolved, source)
                if not reader.may(need):
                    where = ("actions", number, "fields", name)
                    yield trigger.entry.problem(str(reader.denied(need, source)), *where)

"""One delivery from beginning to end: compare, judge, plan, send, judge what came of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from valtag_assets.delivery.breaker import after_sending, before_sending
from valtag_assets.delivery.message import Gate, open_gate
from valtag_assets.delivery.outbox import FOLDER, Outbox, ledger_file
from valtag_assets.delivery.route import Place, open_route
from valtag_assets.delivery.sender import Sent, send
from valtag_assets.delivery.sync import Difference, Occasion, Sync
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.expression.resolved_delivery import ResolvedDelivery
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.own_key import own_key
from valtag_assets.warehouse.snapshot import Verdict
from valtag_assets.warehouse.store import Warehouse

_KEY = "hash.key"


def ledger_salt(warehouse: Warehouse) -> str:
    """What the hashes of the ledger are made with; kept beside the ledger, not in it."""
    return own_key(warehouse.root / FOLDER / _KEY)


@dataclass(frozen=True)
class Delivered:
    """What a delivery did. ``rows``: messages by operation, state and reason, those that needed none included."""

    difference: Difference
    verdicts: Sequence[Verdict]
    rows: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    cost: float = 0.0


@dataclass(frozen=True)
class Terms:
    """How a delivery is made. ``coverage``: that of the fields last time; ``confirmed``: see ``before_sending``.

    ``afresh``: the destination has lost what it held, so everything is sent again. ``closed``: given a channel and
    persons, those to whom it is closed; who is held by a destination for that channel is taken out of it.
    """

    coverage: Mapping[str, float]
    confirmed: bool = False
    afresh: bool = False
    gate: Gate = open_gate
    closed: Callable[[str, Sequence[str]], Set[str]] = lambda _channel, _persons: frozenset()


def deliver(
    place: Place, delivery: ResolvedDelivery, occasion: Occasion, terms: Terms, now: Callable[[], datetime]
) -> Delivered:
    """Bring the destination to what is published. Nothing is planned or sent unless every check before allows it.

    To be called by one at a time: whatever an earlier caller had claimed, it has died.
    """
    to = delivery.destination.spec
    with Outbox.open(ledger_file(place.warehouse)) as outbox:
        outbox.recover(to.destination, now(), idempotent=to.idempotent, origin=delivery.code)
        if terms.afresh:
            outbox.forget(to.destination, delivery.code)
            # Other messages than those that were acknowledged once, so other keys.
            occasion = replace(occasion, ids={**occasion.ids, "afresh": now().isoformat()})
        difference, verdicts = _judged(place, delivery, occasion, terms, outbox, plan=True)
        if not all(verdict.passed for verdict in verdicts):
            return Delivered(difference, verdicts)
        sent = asyncio.run(_send(place, delivery, outbox, terms, now))
        rows = outbox.counts(origin=delivery.code, run=occasion.run)
        states: Counter[str] = Counter()
        for row in rows:
            states[row["state"]] += row["messages"]
        told = [{name: row[name] for name in ("operation", "state", "reason", "messages")} for row in rows]
        told += _untouched(difference)
        verdicts += after_sending(delivery, states, sent.halted)
        return Delivered(difference, verdicts, told, to.cost * (states["acknowledged"] + states["sent"]))


def forecast(place: Place, delivery: ResolvedDelivery, occasion: Occasion, terms: Terms) -> Delivered:
    """What ``deliver`` would do, and what it would cost; nothing is planned, nothing sent."""
    with Outbox.open(ledger_file(place.warehouse)) as outbox:
        difference, verdicts = _judged(place, delivery, occasion, terms, outbox, plan=False)
    messages = difference.add + difference.change + difference.remove
    return Delivered(difference, verdicts, _untouched(difference), delivery.destination.spec.cost * messages)


def _judged(
    place: Place, delivery: ResolvedDelivery, occasion: Occasion, terms: Terms, outbox: Outbox, *, plan: bool
) -> tuple[Difference, list[Verdict]]:
    with open_duckdb(place.spill) as engine, TemporaryDirectory(dir=place.spill) as space:
        sync = Sync(place.resolved, delivery, outbox, engine, Path(space))
        to, closed = delivery.destination.spec, frozenset[str]()
        if to.channel is not None:
            held = outbox.acknowledged(to.destination, delivery.code)["person_id"].to_pylist()
            closed = frozenset(terms.closed(to.channel, held))
        difference = sync.compare(occasion, closed)
        verdicts = before_sending(delivery, difference, terms.coverage, confirmed=terms.confirmed)
        if plan and all(verdict.passed for verdict in verdicts):
            sync.plan(occasion)
    return difference, verdicts


async def _send(
    place: Place, delivery: ResolvedDelivery, outbox: Outbox, terms: Terms, now: Callable[[], datetime]
) -> Sent:
    try:
        async with open_route(place, delivery.destination, now) as route:
            return await send(
                outbox, route, now, gate=terms.gate, patience=delivery.spec.patience, origin=delivery.code
            )
    except Mistake as error:  # a secret or a driver is missing: the messages wait
        return Sent(halted=str(error))


def _untouched(difference: Difference) -> list[dict[str, Any]]:
    """Persons about whom nothing was to be said, in the form of counted messages."""
    why = {
        "unchanged": ("the destination holds just that", difference.unchanged),
        "left": ("no member any more, and not removed by this mode", difference.left),
        "under_way": ("being sent, or waiting for a decision", difference.under_way),
    }
    return [
        {"operation": "none", "state": state, "reason": reason, "messages": persons}
        for state, (reason, persons) in why.items()
        if persons
    ]

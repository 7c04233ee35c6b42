"""Messages that are due, sent: every destination with something to send, through the gateway."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from valtag_assets.delivery.gateway import Gateway
from valtag_assets.delivery.outbox import FILE, Outbox
from valtag_assets.delivery.receipts import Receipts
from valtag_assets.delivery.route import Place, open_route
from valtag_assets.delivery.sender import Sent, send
from valtag_assets.delivery.standing import Standing
from valtag_assets.delivery.stops import Stops
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.expression.resolved import ResolvedDestination
from valtag_assets.spec.mistake import Mistake

FOLDER, STOPS = "outbox", "stops"


def ledger_of(place: Place) -> Path:
    """The file of the outbox."""
    return place.warehouse.root / FOLDER / FILE


def stops_of(place: Place) -> Stops:
    """The kill switch."""
    return Stops(place.warehouse.root / FOLDER / STOPS)


def waiting_at(outbox: Outbox, now: datetime) -> list[str]:
    """The destinations with something to do: a message is due, or a sender has died over one."""
    return [code for code in outbox.destinations() if (at := outbox.next_at(code)) is not None and at <= now]


@dataclass(frozen=True)
class SentMessages:
    """What came of sending. ``states``: attempts by destination and how they ended; ``halted``: destinations to which
    nothing more could be sent, and why."""

    states: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    halted: Mapping[str, str] = field(default_factory=dict)


def send_messages(place: Place, now: Callable[[], datetime], patience: float = 0.0) -> SentMessages:
    """Send what is due at every enabled destination; ``patience``: seconds to wait for what is due soon after."""
    states, halted = {}, {}
    with Outbox.open(ledger_of(place)) as outbox, Receipts.open(ledger_of(place)):
        for code in waiting_at(outbox, now()):
            to = place.resolved.destinations.get(code)
            if to is None or not to.spec.enabled:
                halted[code] = "is no destination any more" if to is None else "is not enabled"
                continue
            done = _send(place, to, outbox, now, patience)
            states[code] = dict(done.states)
            if done.halted:
                halted[code] = done.halted
    return SentMessages(states, halted)


def _send(
    place: Place, to: ResolvedDestination, outbox: Outbox, now: Callable[[], datetime], patience: float
) -> Sent:
    with open_duckdb(place.spill) as engine, TemporaryDirectory(dir=place.spill) as space:
        standing = Standing(place.resolved, place.warehouse, engine, Path(space))
        waiting = outbox.read(destination=to.code, state="pending")
        standing.expect(waiting["person_id"].to_pylist())
        gate = Gateway(place.resolved, standing, ledger_of(place), stops_of(place))

        async def go() -> Sent:
            async with open_route(place, to, now) as route:
                return await send(outbox, route, now, gate=gate, patience=patience)

        try:
            return asyncio.run(go())
        except Mistake as error:  # a secret or a driver is missing: the messages wait
            return Sent(halted=str(error))

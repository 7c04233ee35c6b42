"""Messages that are due, sent: every destination with something to send, through the gateway."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from valtag_assets.delivery.gateway import Gateway
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.receipts import Receipts
from valtag_assets.delivery.route import Place, open_route
from valtag_assets.delivery.sender import Sent, send
from valtag_assets.expression.resolved_delivery import ResolvedDestination
from valtag_assets.spec.mistake import Mistake


def waiting_at(outbox: Outbox, now: datetime) -> list[str]:
    """The destinations with something to do about messages: one is due, or a sender has died over one."""
    found = []
    for code in outbox.destinations():
        at = outbox.next_at(code, kind="message")
        if at is not None and at <= now:
            found.append(code)
    return found


@dataclass(frozen=True)
class SentMessages:
    """What came of sending. ``states``: attempts by destination and how they ended; ``halted``: destinations to which
    nothing more could be sent, and why."""

    states: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    halted: Mapping[str, str] = field(default_factory=dict)


def send_messages(place: Place, now: Callable[[], datetime], patience: float = 0.0) -> SentMessages:
    """Send what is due at every enabled destination; ``patience``: seconds to wait for what is due soon after."""
    states, halted, ledger = {}, {}, ledger_file(place.warehouse)
    with Outbox.open(ledger) as outbox, Receipts.open(ledger):
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
    gate = Gateway.of(place)
    gate.expect(outbox.read(destination=to.code, state="pending", kind="message")["person_id"].to_pylist())

    async def go() -> Sent:
        async with open_route(place, to, now) as route:
            return await send(outbox, route, now, gate=gate, patience=patience, kind="message")

    try:
        return asyncio.run(go())
    except Mistake as error:  # a secret or a driver is missing: the messages wait
        return Sent(halted=str(error))

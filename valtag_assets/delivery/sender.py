"""The sender: the only way anything leaves valtag. Claims what is due, asks the gate, hands over, writes down.

What must hold, whenever it is killed: nothing is lost, since a message is in the ledger before it is sent, and a
lease that ran out is taken up again; nothing has two effects at a receiver that honours keys, since a message keeps
its key; at one that doesn't, what may have been sent is parked until somebody decides (``idempotent: false``).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from valtag_assets.delivery.message import SEND, Gate, Kind, Message, Outcome, Parcel, Result, State, open_gate
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.delivery.pace import Pace
from valtag_assets.spec.destination import Destination

LEASE = timedelta(minutes=5)
_BLOCK_REQUESTS = 16  # requests per connection between two claims
_MOST_CLAIMED = 100_000  # what fits into memory
_FLUSH = 500
_PAUSE_SECONDS = 5.0
_MARGIN = timedelta(seconds=1)
_HOLD_AT_LEAST = timedelta(seconds=1)


class Receiver(Protocol):
    """How parcels are handed to one destination. ``deliver`` gives an outcome for each, and raises only faults."""

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Outcome]: ...


@dataclass(frozen=True)
class Route:
    """A destination at work. ``complete`` joins what is not in the ledger to messages: a parcel for each."""

    spec: Destination
    receiver: Receiver
    complete: Callable[[Sequence[Message]], Sequence[Parcel]]


@dataclass
class Sent:
    """What a sender did. ``states``: how many attempts ended how; ``halted``: why nothing more could be sent."""

    states: Counter[str] = field(default_factory=Counter)
    halted: str = ""


async def send(
    outbox: Outbox,
    route: Route,
    now: Callable[[], datetime],
    *,
    gate: Gate = open_gate,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    patience: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
    seed: int = 0,
    origin: str | None = None,
    kind: Kind | None = None,
) -> Sent:
    """Send what is due at the route's destination, until nothing is, or ``stop`` says so.

    ``origin``, ``kind``: only messages of these. ``patience``: how many seconds to wait at most, in all, for messages
    that are due later.
    """
    sending = _Sending(_Queue(outbox, route.spec, origin, kind), route, now, gate, sleep, stop, seed)
    deadline = now() + timedelta(seconds=patience)
    while not stop() and not sending.done.halted:
        if sending.pace.is_paused(now()) or not await sending.block():
            due = sending.next_at()
            if due is None or due > deadline:
                break
            await sleep(max(0.0, (due - now()).total_seconds()))
    return sending.done


@dataclass(frozen=True)
class _Queue:
    """The part of the outbox that is to be sent."""

    outbox: Outbox
    spec: Destination
    origin: str | None
    kind: Kind | None

    def claim(self, most: int, now: datetime) -> list[Message]:
        self.outbox.recover(self.spec.destination, now, idempotent=self.spec.idempotent)
        lease = now + LEASE + timedelta(seconds=self.spec.timeout)
        return self.outbox.claim(self.spec.destination, most, now, lease, origin=self.origin, kind=self.kind)

    def next_at(self) -> datetime | None:
        return self.outbox.next_at(self.spec.destination, origin=self.origin, kind=self.kind)


class _Sending:
    """One sender at work."""

    def __init__(
        self,
        queue: _Queue,
        route: Route,
        now: Callable[[], datetime],
        gate: Gate,
        sleep: Callable[[float], Awaitable[None]],
        stop: Callable[[], bool],
        seed: int,
    ) -> None:
        self.queue, self.route, self.spec = queue, route, route.spec
        self.now, self.gate, self.sleep, self.stop = now, gate, sleep, stop
        self.pace = Pace(self.spec.rate, f"{seed}:{self.spec.destination}")
        self.done = Sent()
        self.results: list[Result] = []

    def next_at(self) -> datetime | None:
        due = self.queue.next_at()
        if due is None or self.pace.paused_until is None:
            return due
        return max(due, self.pace.paused_until)

    async def block(self) -> bool:
        """Claim some messages and settle them; whether there were any."""
        claimed = self.queue.claim(self._most(), self.now())
        if not claimed:
            return False
        passed = self._asked(claimed)
        parcels = self.route.complete(passed) if passed else ()
        size = self.spec.rows_at_once
        waiting = deque(parcels[start : start + size] for start in range(0, len(parcels), size))
        workers = 1 if self.pace.broken else min(self.spec.requests_at_once, len(waiting))
        await asyncio.gather(*(self._work(waiting) for _ in range(workers)))
        self._flush()
        return True

    def _most(self) -> int:
        """How many to claim. Of a receiver that may act twice, no more than can be under way at once: whatever is
        claimed when the sender is killed has to be decided by somebody."""
        size = self.spec.rows_at_once
        if self.pace.broken:
            return size
        requests = self.spec.requests_at_once * (_BLOCK_REQUESTS if self.spec.idempotent else 1)
        return min(_MOST_CLAIMED, size * requests)

    def _asked(self, claimed: Sequence[Message]) -> list[Message]:
        """Those the gate lets through; the others are settled."""
        now = self.now()
        verdicts = self.gate(claimed, now)
        passed = []
        for message in claimed:
            verdict = verdicts.get(message.key, SEND)
            if verdict.kind == "send":
                passed.append(message)
            elif verdict.kind == "drop":
                self._settle(message, "held_back", verdict.reason)
            else:
                until = max(verdict.until or now, now + _HOLD_AT_LEAST)
                self._settle(message, "pending", verdict.reason, until=until, counted=False)
        return passed

    async def _work(self, waiting: deque[Sequence[Parcel]]) -> None:
        """Take batches until there are none; after a pause or a halt they go back as they came."""
        while waiting:
            batch = waiting.popleft()
            if not self._may_go_on():
                self._release(batch, "")
                continue
            wait = self.pace.turn(len(batch), self.now())
            if wait > 0:
                await self.sleep(wait)
            lease = min(parcel.message.lease_until or self.now() for parcel in batch)
            if not self._may_go_on() or self.now() + timedelta(seconds=self.spec.timeout) + _MARGIN > lease:
                self._release(batch, "")
                continue
            outcomes = await self.route.receiver.deliver(batch)
            if outcomes[0].kind == "split" and len(batch) > 1:
                self.pace.answered()
                half = len(batch) // 2
                waiting.extendleft((batch[half:], batch[:half]))
            else:
                self._judge(batch, outcomes)

    def _may_go_on(self) -> bool:
        return not (self.done.halted or self.pace.is_paused(self.now()) or self.stop())

    def _judge(self, batch: Sequence[Parcel], outcomes: Sequence[Outcome]) -> None:
        kinds = {outcome.kind for outcome in outcomes}
        if kinds & {"ok", "rejected", "split"}:
            self.pace.answered()
        elif kinds & {"retry", "uncertain", "unreachable"}:
            self.pace.failed(self.now())
        for parcel, outcome in zip(batch, outcomes, strict=True):
            self._end(parcel.message, replace(outcome, reason=_without_values(parcel, outcome.reason)))
        if len(self.results) >= _FLUSH:
            self._flush()

    def _end(self, message: Message, outcome: Outcome) -> None:
        now, reason = self.now(), outcome.reason
        if outcome.kind == "ok":
            state: State = "acknowledged" if message.kind == "sync" else "sent"
            self._settle(message, state, reason, reference=outcome.reference)
        elif outcome.kind in ("rejected", "split"):
            self._settle(message, "rejected", reason)
        elif outcome.kind == "uncertain" and not self.spec.idempotent:
            self._settle(message, "unknown", reason, doubt=True)
        elif outcome.kind in ("retry", "uncertain"):
            doubt = outcome.kind == "uncertain"
            if message.attempts >= self.spec.attempts:
                self._settle(message, "dead", reason, doubt=doubt)
            else:
                until = self._later(message.attempts, outcome.after)
                self._settle(message, "pending", reason, until=until, doubt=doubt)
        elif outcome.kind == "unreachable":
            until = self._later(message.attempts, outcome.after)
            self._settle(message, "pending", reason, until=until, counted=False)
        else:
            if outcome.kind == "halt":
                self.done.halted = reason
            else:
                seconds = _PAUSE_SECONDS if outcome.after is None else outcome.after
                self.pace.pause(now + timedelta(seconds=seconds))
            self._settle(message, "pending", reason, until=now, counted=False)

    def _later(self, attempt: int, after: float | None) -> datetime:
        now = self.now()
        return max(self.pace.backoff(attempt, now), now + timedelta(seconds=after or 0))

    def _release(self, batch: Sequence[Parcel], reason: str) -> None:
        for parcel in batch:
            self._settle(parcel.message, "pending", reason, until=self.now(), counted=False)

    def _settle(
        self,
        message: Message,
        state: State,
        reason: str,
        *,
        reference: str = "",
        until: datetime | None = None,
        counted: bool = True,
        doubt: bool = False,
    ) -> None:
        self.done.states[state if counted else "put off"] += 1
        self.results.append(Result(message, state, self.now(), reason, reference, until, counted, doubt))

    def _flush(self) -> None:
        results, self.results = self.results, []
        self.queue.outbox.settle(results)


def _without_values(parcel: Parcel, reason: str) -> str:
    """The reason without what the parcel says of the person, which a receiver may say back: reasons are counted and
    shown."""
    values = [parcel.message.person_id, *(value for value in parcel.fields.values() if isinstance(value, str))]
    for value in sorted((value for value in values if len(value) > 1), key=len, reverse=True):
        reason = reason.replace(value, "…")
    return reason

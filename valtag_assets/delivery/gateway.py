"""The send gateway: the one gate every message passes right before it is sent, whatever planned it.

Asked of every message in this order: is it stopped (kill switch); is its time over; does the rule still hold that
started it; is the person excluded, suppressed, unsubscribed, without consent, out of reach; are these quiet hours
where the person lives; does a cap (疲劳度) let one more through.

Caps count what the ledger says was or may have been sent, what other senders have claimed, and what this gate lets
through: first by priority, then as planned, then by key.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from valtag_assets.delivery.message import SEND, Message, Verdict
from valtag_assets.delivery.outbox import FOLDER, ledger_file
from valtag_assets.delivery.quiet import quiet_until
from valtag_assets.delivery.receipts import EVERY_CHANNEL
from valtag_assets.delivery.route import Place
from valtag_assets.delivery.standing import EXCLUDED, ZONE, Spell, Standing
from valtag_assets.delivery.stops import EVERYTHING, Stops
from valtag_assets.engine.trigger_state import MERGED
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.project import MessageCap
from valtag_assets.warehouse.store import Warehouse

Booleans = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

# How soon a message is asked about again that something holds of which nobody knows when it ends.
AGAIN = timedelta(minutes=5)
ASKED_AT_LEAST = timedelta(hours=1)
_DAY = 86_400_000_000
_NEVER = np.iinfo(np.int64).max
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINE = "CREATE TEMP TABLE mine (id TEXT, person_id TEXT, PRIMARY KEY (id, person_id))"
_WHOLE_IDS = "CREATE TEMP TABLE wholes (id TEXT, person_id TEXT, PRIMARY KEY (id, person_id))"
# The persons asked about, under every id that is theirs by now.
_IDS = """
    INSERT INTO temp.mine
    SELECT person_id, person_id FROM temp.asked UNION SELECT was, now FROM successor
    WHERE now IN (SELECT person_id FROM temp.asked)"""
_TOLD = """
    SELECT mine.person_id, origin, step, destination, state, sent_at
    FROM temp.mine CROSS JOIN message ON message.person_id = mine.id
    WHERE kind = 'message' AND key NOT IN (SELECT key FROM temp.asked) AND (sent_at > ? OR state = 'claimed')"""
# And under the ids of those whom they were thought to be one with: what these withdrew, every part withdrew.
_WHOLES = """
    WITH RECURSIVE whole (id, person_id) AS (
        SELECT part.whole, mine.person_id FROM temp.mine JOIN part ON part.person_id = mine.id
        UNION SELECT part.whole, whole.person_id FROM whole JOIN part ON part.person_id = whole.id
        UNION SELECT successor.was, whole.person_id FROM whole JOIN successor ON successor.now = whole.id)
    INSERT INTO temp.wholes SELECT id, person_id FROM whole EXCEPT SELECT id, person_id FROM temp.mine"""
_SAID = """
    SELECT mine.person_id, message.origin, message.step, message.destination,
        receipt.channel, receipt.state, receipt.at
    FROM receipt LEFT JOIN message USING (key)
        JOIN (SELECT *, 0 AS shared FROM temp.mine UNION ALL SELECT *, 1 FROM temp.wholes) AS mine
        ON mine.id = coalesce(message.person_id, receipt.person_id)
    WHERE receipt.state = 'unsubscribed'
      OR (NOT mine.shared AND receipt.state IN ('subscribed', 'bounced', 'delivered'))"""


@dataclass(frozen=True)
class Told:
    """A message of the ledger that counts for caps: to whom, by which channel; ``at`` None while it is claimed."""

    person: str
    channel: str | None
    at: int | None


def stops_of(warehouse: Warehouse) -> Stops:
    """The kill switch of a warehouse."""
    return Stops(warehouse.root / FOLDER / "stops")


class Gateway:
    """The gate of one sender. ``ledger`` is the outbox' file, ``stops`` what is stopped."""

    def __init__(self, resolved: Resolved, standing: Standing, ledger: Path, stops: Stops) -> None:
        self._resolved, self._standing, self._ledger, self._stops = resolved, standing, ledger, stops
        self._caps = resolved.catalog.project.contact.caps
        self._zone = resolved.catalog.project.zone

    @classmethod
    def of(cls, place: Place) -> "Gateway":
        """The gate of senders that work there."""
        standing = Standing(place.resolved, place.warehouse, place.spill)
        return cls(place.resolved, standing, ledger_file(place.warehouse), stops_of(place.warehouse))

    def __call__(self, messages: Sequence[Message], now: datetime) -> dict[str, Verdict]:
        """A verdict for each of ``messages``, which this sender has claimed."""
        stopped = self._stops.now()
        found = {m.key: verdict for m in messages if (verdict := self._at_once(m, stopped, now)) is not None}
        asked = [message for message in messages if message.key not in found]
        if asked:
            found |= self._judged(asked, now)
        return found

    def expect(self, persons: Sequence[str]) -> None:
        """Whose messages will be asked about soon: they are looked up together."""
        self._standing.expect(persons)

    def closed(self, channel: str, persons: Sequence[str]) -> set[str]:
        """Those of ``persons`` to whom the channel is closed by now."""
        if not persons:
            return set()
        with _reading(self._ledger, [(person, person) for person in persons]) as ledger:
            said = self._said(ledger)
        left = {person for person, _, _ in said if _said_of(said, person, channel)}
        return self._standing.closed(channel, persons) | left

    def channel_of(self, origin: str, step: str, destination: str) -> str | None:
        """How a message reaches the person: the step's channel, or the destination's."""
        trigger = self._resolved.triggers.get(origin)
        if trigger is not None and step in trigger.channels:
            return trigger.channels[step]
        to = self._resolved.destinations.get(destination)
        return None if to is None else to.spec.channel

    def _at_once(self, message: Message, stopped: frozenset[str], now: datetime) -> Verdict | None:
        """The verdict for which nobody needs to be looked up."""
        channel = self.channel_of(message.origin, message.step, message.destination)
        kind = "trigger" if message.kind == "message" else "delivery"
        names = (EVERYTHING, f"channel.{channel}", f"destination.{message.destination}", f"{kind}.{message.origin}")
        why = next((name for name in names if name in stopped), None)
        if why is not None:
            return Verdict("hold", f"stopped: {why}", now + AGAIN)
        if message.expires_at is not None and message.expires_at <= now:
            return Verdict("drop", "expired")
        if message.kind == "message":
            # The catalog was changed since it was planned, so nobody could say what is to be asked of the person.
            if message.origin not in self._resolved.triggers:
                return Verdict("hold", "its trigger is not in the catalog", now + AGAIN)
            return Verdict("hold", "its step has no channel any more", now + AGAIN) if channel is None else None
        # Nobody is told anything by being taken out, nor by a sync to a receiver that reaches nobody.
        return SEND if message.operation == "remove" or channel is None else None

    def _judged(self, messages: Sequence[Message], now: datetime) -> dict[str, Verdict]:
        standing = self._standing.of([message.person_id for message in messages])
        with _reading(self._ledger, [(message.key, message.person_id) for message in messages]) as ledger:
            told, said = self._told(ledger, now), self._said(ledger)
        spells = self._spells(messages)
        found, going = {}, []
        for message in messages:
            channel = self.channel_of(message.origin, message.step, message.destination)
            assert channel is not None
            row = standing[message.person_id]
            why = _over(spells, message) or _closed(row, channel) or _said_of(said, message.person_id, channel)
            if why:
                found[message.key] = Verdict("drop", why)
            elif message.kind == "sync":
                found[message.key] = SEND
            elif (until := self._quiet(channel, row.get(ZONE), now)) is not None:
                found[message.key] = Verdict("hold", "quiet hours", until)
            else:
                going.append((message, channel))
        return found | self._capped(going, told, now)

    def _spells(self, messages: Sequence[Message]) -> dict[tuple[str, str, str], Spell]:
        """The entries that rest on a rule, which may no longer hold, by (trigger, person, entry)."""
        found = {}
        for code in {message.origin for message in messages if message.kind == "message"}:
            trigger = self._resolved.triggers.get(code)
            if trigger is not None and trigger.event is None:
                persons = [message.planned_for for message in messages if message.origin == code]
                for (person, entry), spell in self._standing.spells(code, persons).items():
                    found[code, person, entry] = spell
        return found

    def _quiet(self, channel: str, zone: object, now: datetime) -> datetime | None:
        quiet = self._resolved.channels[channel].quiet
        return None if quiet is None else quiet_until(quiet, _zone(zone) or self._zone, now)

    def _told(self, ledger: sqlite3.Connection, now: datetime) -> list[Told]:
        """What was, may have been, or is being sent to these persons within the longest cap."""
        if not self._caps:
            return []
        since = _number(now) - max(cap.days for cap in self._caps) * _DAY
        return [
            Told(person, self.channel_of(origin, step, destination), None if state == "claimed" else at)
            for person, origin, step, destination, state, at in ledger.execute(_TOLD, (since,))
        ]

    def _said(self, ledger: sqlite3.Connection) -> dict[tuple[str, str, str], int]:
        """The latest instant of what came back, by (person, channel, state)."""
        if ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'receipt'").fetchone() is None:
            return {}
        found: dict[tuple[str, str, str], int] = {}
        for person, origin, step, destination, channel, state, at in ledger.execute(_SAID):
            via = channel or self.channel_of(origin or "", step or "", destination or "") or EVERY_CHANNEL
            found[person, via, state] = max(at, found.get((person, via, state), at))
        return found

    def _capped(
        self, going: Sequence[tuple[Message, str]], told: Sequence[Told], now: datetime
    ) -> dict[str, Verdict]:
        """Let through as many as the caps allow, the first first; the others wait."""
        going = sorted(going, key=lambda pair: (-pair[0].priority, pair[0].created_at, pair[0].key))
        if not self._caps:
            return {message.key: SEND for message, _ in going}
        persons = {message.person_id: 0 for message, _ in going}
        persons = {person: number for number, person in enumerate(persons)}
        counted = Counted.of(self._caps, [row for row in told if row.person in persons], persons, _number(now))
        who = np.array([persons[message.person_id] for message, _ in going], dtype=np.int64)
        via = np.array([[cap.channel in (None, channel) for cap in self._caps] for _, channel in going])
        passed = greedy(counted.used, who, via, np.array([cap.at_most for cap in self._caps]))
        found = {}
        for number, (message, _) in enumerate(going):
            if passed[number]:
                found[message.key] = SEND
            else:
                until = counted.free_at(int(who[number]), via[number])
                held = min(until, now + ASKED_AT_LEAST)
                found[message.key] = Verdict("hold", "capped", max(held, now + AGAIN))
        return found


@dataclass(frozen=True)
class Counted:
    """What counts already: ``used`` [person, cap] messages, and ``frees`` [person, cap], the instant (µs) at which
    the oldest of them no longer does."""

    used: Numbers
    frees: Numbers

    @classmethod
    def of(cls, caps: Sequence[MessageCap], told: Sequence[Told], persons: Mapping[str, int], now: int) -> "Counted":
        """A message counts for a cap of n days until n times 24 hours after it was sent; from its claim on."""
        used = np.zeros((len(persons), len(caps)), dtype=np.int64)
        frees = np.full((len(persons), len(caps)), _NEVER, dtype=np.int64)
        who = np.array([persons[row.person] for row in told], dtype=np.int64)
        at = np.array([now if row.at is None else row.at for row in told], dtype=np.int64)
        for number, cap in enumerate(caps):
            mine = np.array([cap.channel in (None, row.channel) for row in told], dtype=bool)
            counts = mine & (at > now - cap.days * _DAY)
            np.add.at(used[:, number], who[counts], 1)
            np.minimum.at(frees[:, number], who[counts], at[counts] + cap.days * _DAY)
        return cls(used, frees)

    def free_at(self, person: int, via: Booleans) -> datetime:
        """When the first of the messages that count for these caps no longer does; far off where none does."""
        number = int(self.frees[person][via].min(initial=_NEVER))
        return datetime.max.replace(tzinfo=UTC) if number == _NEVER else _EPOCH + timedelta(microseconds=number)


def greedy(used: Numbers, who: Numbers, via: Booleans, most: Numbers) -> Booleans:
    """Which messages pass, taken in their order: each that no cap forbids, given those that passed before it.

    ``used`` [person, cap] counts already (left as it is); ``who`` [message] are persons, ``via`` [message, cap] the
    caps that a message counts for, ``most`` [cap] how many each cap allows. In rounds: the first message of
    everybody, then the second; a person is in a round once, so nobody's messages hinder anybody else's.
    """
    used, passed = used.copy(), np.zeros(len(who), dtype=bool)
    order = np.argsort(who, kind="stable")
    starts = np.flatnonzero(np.r_[True, who[order][1:] != who[order][:-1]]) if len(who) else order
    lengths = np.diff(np.r_[starts, len(who)])
    for turn in range(int(lengths.max(initial=0))):
        chosen = order[starts[lengths > turn] + turn]
        allowed = ~((used[who[chosen]] >= most) & via[chosen]).any(axis=1)
        passed[chosen] = allowed
        used[who[chosen[allowed]]] += via[chosen[allowed]]
    return passed


class _reading:
    """The ledger, to be read, with the table ``asked`` of (key, person) in question beside it, all ids of these
    persons (``mine``), and those of whom they are a part (``wholes``)."""

    def __init__(self, file: Path, asked: Sequence[tuple[str, str]]) -> None:
        self._file, self._asked = file, asked

    def __enter__(self) -> sqlite3.Connection:
        self._connection = sqlite3.connect(self._file, timeout=60)
        self._connection.execute("CREATE TEMP TABLE asked (key TEXT PRIMARY KEY, person_id TEXT)")
        self._connection.executemany("INSERT INTO temp.asked VALUES (?, ?)", self._asked)
        for statement in (_MINE, _IDS, _WHOLE_IDS, _WHOLES):
            self._connection.execute(statement)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _over(spells: Mapping[tuple[str, str, str], Spell], message: Message) -> str:
    """Why a message is not worth sending any more: since it was planned, the rule has ceased to hold, or, of a step
    that waited, the goal was reached."""
    spell = spells.get((message.origin, message.planned_for, message.entry))
    if spell is None:
        return ""
    if spell.is_merged:
        return MERGED
    if spell.is_done:
        return "goal_reached"
    return "no_longer" if spell.entered == message.as_of and not spell.is_open else ""


def _closed(row: Mapping[str, object], channel: str) -> str:
    """Why the channel is closed to the person, as the published tables have it."""
    if row.get(EXCLUDED):
        return "excluded"
    if row.get(f"suppressed_{channel}"):
        return "suppressed"
    if f"consent_{channel}" in row and not row[f"consent_{channel}"]:
        return "no_consent"
    return "" if row.get(f"reachable_{channel}") else "no_channel"


def _said_of(said: Mapping[tuple[str, str, str], int], person: str, channel: str) -> str:
    """Why the channel is closed to the person, as receipts have it."""
    for via in (channel, EVERY_CHANNEL):
        left, back = said.get((person, via, "unsubscribed")), said.get((person, via, "subscribed"), -_NEVER)
        if left is not None and left >= back:
            return "unsubscribed"
    bounced, came = said.get((person, channel, "bounced")), said.get((person, channel, "delivered"), -_NEVER)
    return "bounced" if bounced is not None and bounced >= came else ""


def _zone(name: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(str(name)) if name is not None else None
    except (KeyError, ValueError):
        return None


def _number(instant: datetime) -> int:
    difference = instant - _EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds

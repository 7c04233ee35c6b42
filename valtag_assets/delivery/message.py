"""The records of sending: a message, what the gate says of it, what came of an attempt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

Operation = Literal["add", "change", "remove", "message"]
Kind = Literal["sync", "message"]
State = Literal[
    "pending", "claimed", "sent", "acknowledged", "rejected", "dead", "unknown", "expired", "held_back"
]  # fmt: skip
OPEN: tuple[State, ...] = ("pending", "claimed", "unknown")
"""States in which a message may still have an effect."""


@dataclass(frozen=True)
class Message:
    """One effect at one receiver, as the ledger has it.

    ``values`` are the fields that travel, without personal contact data. ``entry`` is the spell number of a trigger
    or the snapshot of a sync. ``arm`` is "treated" or "control". Instants are aware, UTC. ``person_id`` of what a
    trigger plans is who the person is now; ``entered_as``, by which the ledger knows it, is set if it is another id.
    """

    key: str
    kind: Kind
    origin: str
    version: str
    step: str
    destination: str
    person_id: str
    entry: str
    arm: str
    operation: Operation
    values: Mapping[str, Any]
    values_hash: str
    snapshot: str
    run: str
    as_of: date | None
    created_at: datetime
    not_before: datetime
    expires_at: datetime | None
    priority: int
    state: State
    reason: str
    attempts: int
    lease_until: datetime | None
    sent_at: datetime | None
    answered_at: datetime | None
    reference: str
    entered_as: str | None = None

    @property
    def planned_for(self) -> str:
        """The id of the person in the ledger."""
        return self.entered_as or self.person_id


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a message right before it would be sent: send it, hold it ``until`` then, or drop it."""

    kind: Literal["send", "hold", "drop"]
    reason: str = ""
    until: datetime | None = None


SEND = Verdict("send")

Gate = Callable[[Sequence[Message], datetime], Mapping[str, Verdict]]
"""Messages about to be sent and the present instant → a verdict for every key."""


def open_gate(messages: Sequence[Message], _: datetime) -> Mapping[str, Verdict]:
    """The gate that lets everything through."""
    return {message.key: SEND for message in messages}


@dataclass(frozen=True)
class Parcel:
    """A message with all that goes over the wire: ``fields`` hold contact data too, masked as the destination says.

    The values are what JSON has: decimals, dates and timestamps are text.
    """

    message: Message
    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of sending one message, in the words of the receiver's answer.

    ok: done. retry: not done, try again (``after`` seconds at the earliest). rejected: not done, and never will be.
    uncertain: nobody knows. unreachable: certainly not done, through no fault of the message. pause: the receiver
    wants nothing for ``after`` seconds. halt: the destination is set up wrong; nothing more can be sent to it.
    split: the receiver refused a batch as a whole, so its messages are tried apart.
    """

    kind: Literal["ok", "retry", "rejected", "uncertain", "unreachable", "pause", "halt", "split"]
    reason: str = ""
    after: float | None = None
    reference: str = ""


@dataclass(frozen=True)
class Result:
    """How an attempt ends in the ledger.

    ``state`` pending: to be tried again, not before ``until``; ``counted`` False: as if it had not been tried;
    ``doubt``: it may have had its effect all the same.
    """

    message: Message
    state: State
    at: datetime
    reason: str = ""
    reference: str = ""
    until: datetime | None = None
    counted: bool = True
    doubt: bool = False

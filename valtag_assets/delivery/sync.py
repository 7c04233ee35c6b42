"""An audience against what its destination has acknowledged: who is to be added, changed, removed.

The desired state is the published members, without those held out, with the published values of what travels. It is
compared with acknowledgements alone, never with what was sent: whatever failed is tried again by construction.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.delivery.access import is_contact, receiver
from valtag_assets.delivery.columns import json_object, with_fields
from valtag_assets.delivery.keys import key_column
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.engine.brands import persons_of_brands
from valtag_assets.engine.lists import list_table
from valtag_assets.engine.persons import PERSON, beside
from valtag_assets.engine.rules import HOLDOUT, segment_table
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.expression.resolved import Resolved, code_version
from valtag_assets.expression.resolved_delivery import ResolvedDelivery

_ACKNOWLEDGED, _UNDER_WAY, _CLOSED, _DIFFERENCE = "acknowledged", "under_way", "closed", "difference"
SENT = ("add", "change", "remove")
_TEXTS = ("person_id", "key", "state", "operation", "values_hash")


@dataclass(frozen=True)
class Difference:
    """What a sync has to do. ``held``: persons the destination holds; ``desired``: members to be there.

    ``left``: not members any more, and not removed, as the mode says. ``under_way``: a message about them is being
    sent, or waits for somebody's decision. ``coverage``: share of the desired with a value, by field. ``leaks``:
    how many of them one of the project's exclusions names.
    """

    held: int
    desired: int
    add: int
    change: int
    remove: int
    unchanged: int
    left: int
    under_way: int
    coverage: Mapping[str, float]
    leaks: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Occasion:
    """What a sync rests on. ``inputs``: the files of every published table it reads, ``ids`` their snapshots."""

    as_of: date
    run: str
    now: datetime
    inputs: Mapping[str, Sequence[Path]]
    ids: Mapping[str, str]
    salt: str

    @property
    def entry(self) -> str:
        """Stands for the snapshots: the same change on the same occasion is the same message."""
        return hashlib.sha256(repr(sorted(self.ids.items())).encode()).hexdigest()[:16]


class Sync:
    """One sync of one delivery. ``space``: a folder for its working files."""

    def __init__(
        self, resolved: Resolved, delivery: ResolvedDelivery, outbox: Outbox, engine: Engine, space: Path
    ) -> None:
        self._resolved, self._delivery, self._outbox = resolved, delivery, outbox
        self._engine, self._file = engine, space / "difference.parquet"
        self._space = space
        self._segment = resolved.segments[delivery.spec.segment]

    def compare(self, occasion: Occasion, closed: Iterable[str] = ()) -> Difference:
        """Work the difference out; nothing is planned yet. ``closed``: persons whom the destination may not hold any
        longer, members or not."""
        file = self._space / f"{_CLOSED}.parquet"
        pq.write_table(pa.table({PERSON: pa.array(closed, pa.string())}), file)
        inputs = {**occasion.inputs, **self._ledger(), _CLOSED: [file]}
        self._engine.write(self._difference(occasion.salt), inputs, self._file)
        rows = unbound(_DIFFERENCE, _COLUMNS)
        counted = rows.group_by("operation").aggregate(persons=rows.count())
        found = {row["operation"]: row["persons"] for row in self._fetch(counted)}
        members = self._engine.fetch(self._facts(), occasion.inputs).to_pylist()[0]
        held = self._engine.fetch(_ledger_size(), inputs).to_pylist()[0]["held"]
        desired = members.pop("desired")
        return Difference(
            held=held,
            desired=desired,
            **{name: found.get(name, 0) for name in (*SENT, "unchanged", "left", "under_way")},
            coverage={
                field.name: members[f"n{number}"] / desired if desired else 1.0
                for number, field in enumerate(self._delivery.fields)
            },
            leaks={
                f"{item.kind} {item.code}": members[f"x{number}"]
                for number, item in enumerate(self._segment.excluded)
                if members[f"x{number}"]
            },
        )

    def plan(self, occasion: Occasion) -> None:
        """Write the difference that ``compare`` found into the ledger, and take back what it supersedes."""
        rows = unbound(_DIFFERENCE, _COLUMNS)
        due = rows.filter(rows["operation"].isin(SENT))
        kept = self._engine.fetch(due.filter(due["key"].notnull()).select("key"), self._written())
        planned = self._engine.fetch(self._messages(due.filter(due["key"].isnull()), occasion), self._written())
        stamp = pa.scalar(occasion.now, pa.timestamp("us", "UTC"))
        for name, value in (("as_of", pa.scalar(occasion.as_of, pa.date32())), ("created_at", stamp)):
            planned = planned.append_column(name, pa.repeat(value, planned.num_rows))
        keys = kept["key"].to_pylist()
        self._outbox.replace(self._delivery.code, planned, keys, occasion.run, occasion.now)

    def _written(self) -> Mapping[str, Sequence[Path]]:
        return {_DIFFERENCE: [self._file]}

    def _fetch(self, expression: ibis.Table) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._engine.fetch(expression, self._written()).to_pylist()
        return found

    def _ledger(self) -> dict[str, Sequence[Path]]:
        """What the ledger knows, as files."""
        files = {name: [self._space / f"{name}.parquet"] for name in (_ACKNOWLEDGED, _UNDER_WAY)}
        of = (self._delivery.destination.code, self._delivery.code)
        pq.write_table(self._outbox.acknowledged(*of), files[_ACKNOWLEDGED][0])
        pq.write_table(self._outbox.under_way(*of), files[_UNDER_WAY][0])
        return dict(files)

    def _members(self) -> ibis.Table:
        """(person_id) of the members who may be contacted, and who are of the brands of the destination's role."""
        members = segment_table(self._segment.code)
        members = members.filter(~members[HOLDOUT].fill_null(False)).select(PERSON)
        brands = receiver(self._resolved, self._delivery.destination).brands
        if brands is None:
            return members
        return members.semi_join(persons_of_brands(self._resolved, brands), PERSON)

    def _facts(self) -> ibis.Table:
        """One row: ``desired``, how many have each field (``n0``, …), how many each exclusion names (``x0``, …)."""
        table = with_fields(self._resolved, self._members(), self._delivery.fields)
        for number, item in enumerate(self._segment.excluded):
            others = list_table(item.code) if item.kind == "list" else segment_table(item.code)
            table = beside(table, others.select(PERSON, **{f"_x{number}": ibis.literal(True)}))
        found = {f"n{n}": table[field.source].count() for n, field in enumerate(self._delivery.fields)}
        found |= {f"x{n}": table[f"_x{n}"].count() for n, _ in enumerate(self._segment.excluded)}
        return table.aggregate(desired=table.count(), **found)

    def _difference(self, salt: str) -> ibis.Table:
        """(person_id, operation, values, values_hash, key) of everybody desired or held. ``key``: of a pending
        message that says just this already."""
        fields, mode = self._delivery.fields, self._delivery.destination.spec.mode
        plain = [field for field in fields if not is_contact(self._resolved, field)]
        table = with_fields(self._resolved, self._members(), fields)
        version = ibis.literal(f"{salt}\x1f{self.version}\x1f")
        desired = table.select(
            PERSON,
            values=json_object(self._resolved, table, plain),
            values_hash=version.concat(table[PERSON], "\x1f", json_object(self._resolved, table, fields)).hexdigest(
                "sha256"
            ),
        )
        desired = desired.anti_join(unbound(_CLOSED, {PERSON: "string"}), PERSON)
        held = unbound(_ACKNOWLEDGED, dict.fromkeys(_TEXTS[:1], "string") | {"values_hash": "string"})
        held = held.select(PERSON, held_hash=held["values_hash"])
        staying = beside(desired, held)
        operation = ibis.cases(
            (staying["held_hash"].isnull(), "add"),
            (staying["held_hash"] == staying["values_hash"], "unchanged"),
            else_="change",
        )
        staying = staying.select(PERSON, "values", "values_hash", operation=operation)
        leaving = held.anti_join(desired, PERSON).select(
            PERSON,
            values=ibis.literal("{}"),
            values_hash=ibis.literal(""),
            operation=ibis.literal("remove" if mode == "mirror" else "left"),
        )
        return self._beside_open(ibis.union(staying, leaving)).order_by(PERSON)

    def _beside_open(self, rows: ibis.Table) -> ibis.Table:
        """``rows`` seen together with the messages that are open."""
        messages = unbound(_UNDER_WAY, dict.fromkeys(_TEXTS, "string"))
        taken = messages.filter(messages["state"] != "pending").select(PERSON).distinct()
        rows = beside(rows, taken.mutate(_taken=ibis.literal(True)))
        waiting = messages.filter(messages["state"] == "pending")
        waiting = waiting.select(
            PERSON, "key", _hash=waiting["values_hash"], _removes=waiting["operation"] == "remove"
        )
        rows = beside(rows, waiting)
        same = (rows["_hash"] == rows["values_hash"]) & (rows["_removes"] == (rows["operation"] == "remove"))
        untouched = rows["operation"].isin(("unchanged", "left"))
        operation = ibis.ifelse(rows["_taken"].notnull() & ~untouched, "under_way", rows["operation"])
        return rows.select(
            PERSON,
            "values",
            "values_hash",
            operation=operation,
            key=ibis.ifelse(same, rows["key"], ibis.null("string")),
        ).select(*_COLUMNS)

    def _messages(self, rows: ibis.Table, occasion: Occasion) -> ibis.Table:
        """What the outbox plans."""
        delivery, to = self._delivery, self._delivery.destination
        parts = (to.code, delivery.code, self.version, "", rows[PERSON], occasion.entry)
        entry = ibis.literal(occasion.entry + ":").concat(rows["values_hash"])
        return rows.select(
            key=key_column((*parts[:5], entry, rows["operation"])),
            kind=ibis.literal("sync"),
            origin=ibis.literal(delivery.code),
            version=ibis.literal(self.version),
            destination=ibis.literal(to.code),
            person_id=rows[PERSON],
            entry=ibis.literal(occasion.entry),
            operation=rows["operation"],
            values=rows["values"],
            values_hash=rows["values_hash"],
            snapshot=ibis.literal(occasion.ids[f"segments/{self._segment.code}"]),
            run=ibis.literal(occasion.run),
        )

    @property
    def version(self) -> str:
        """Of what travels: another one is sent to everybody again."""
        return delivery_version(self._delivery)


_COLUMNS = {PERSON: "string", "operation": "string", "values": "string", "values_hash": "string", "key": "string"}


def delivery_version(delivery: ResolvedDelivery) -> str:
    """A hash of what travels and where to."""
    to = delivery.destination.spec
    address = (to.destination, to.kind, to.mode, to.url, to.url_env, to.table, to.prefix, to.path, to.format)
    return code_version(repr((address, delivery.fields)))


def _ledger_size() -> ibis.Table:
    held = unbound(_ACKNOWLEDGED, {PERSON: "string", "values_hash": "string"})
    return held.aggregate(held=held.count())

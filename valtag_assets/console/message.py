"""``valtag explain message``: why a message was sent, or was not, down to the source rows of what it rests on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from valtag_assets.console.doors import require_visible, through
from valtag_assets.console.explain import Asked, explained
from valtag_assets.console.explanation import Explanation
from valtag_assets.console.opened import opened_rows
from valtag_assets.console.why import Seen, conditions_of, hidden_seen, inputs_of, opened_seen
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.receipts import Receipts
from valtag_assets.engine.access import Need, column_needs, served_needs, trigger_need
from valtag_assets.engine.duckdb import data_type, open_duckdb
from valtag_assets.engine.persons import PERSON, one_person
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.rules import leaf_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.trigger_state import ENTERED_AS, SEEN, STATE, entry_key
from valtag_assets.engine.vault import vaulted_columns
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_trigger import WHEN
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.expression.rule import columns_read, leaves
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.triggers import VERSIONS, readable_versions, version_of
from valtag_assets.spec.access import UNSAID, Asking
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

LEAST_OF_A_KEY = 8


@dataclass(frozen=True)
class Event:
    """Something that happened to the message, and when."""

    at: datetime | None
    what: str


@dataclass(frozen=True)
class MessageStory:
    """A message from its reason to its receipts.

    ``decided``: the row of the trigger's table (entry, arm, decision, reason, steps, values on entering).
    ``conditions``: the trigger's rule with the values it saw; empty where the snapshots it was asked of have left
    history, as ``notes`` say. ``tags``: each tag of the rule, down to its source rows.
    """

    key: str
    trigger: str
    title: Mapping[str, str]
    version: str
    is_present_version: bool
    step: str
    destination: str
    person: str
    entry: str
    arm: str
    as_of: date | None
    snapshot: str
    run: str
    state: str
    reason: str
    values: Mapping[str, Any]
    decided: Mapping[str, Any]
    conditions: Sequence[Seen]
    events: Sequence[Event]
    notes: Sequence[str]
    tags: Sequence[Explanation]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Looking:
    """Which message, for whose eyes, how far down."""

    key: str
    by: Asking = UNSAID
    limit: int = 3
    deep: int = 1


def explain_message(setting: Setting, looking: Looking) -> MessageStory:
    """Raises Mistake for an unknown key, and for a role that may not read of single persons."""
    with through(setting, "explain", looking.by, "a message") as visit:
        visit.reader.require_persons()
        message = _find(setting, looking.key)
        require_visible(setting, visit.reader, message["person_id"])
        found = _story(setting, looking, visit.reader, message)
        visit.rows, visit.tags = 1, [*found.values, *(tag.code for tag in found.tags)]
    return found


def _story(setting: Setting, looking: Looking, reader: Reader, message: Mapping[str, Any]) -> MessageStory:
    resolved = setting.resolved
    trigger = resolved.triggers.get(message["origin"])
    if trigger is None:
        raise Mistake(f"{message['origin']} is no trigger of this catalog any more")
    reader.require(trigger_need(resolved, trigger.code), f"whom {trigger.code} names")
    served, notes = _state(setting, message), list[str]()
    row = _row(setting, served, message) if served is not None else {}
    acted = _definition(setting, trigger, served, message["version"])
    conditions: list[Seen] = []
    if served is None:
        notes.append("the state it was decided in has left history")
    elif acted is None:
        notes.append(f"the definition {message['version']} can't be read any more")
    elif WHEN in acted.rules:
        try:
            person = str(row.get(PERSON, message["person_id"]))
            conditions = _conditions(setting, acted, served, person, reader)
        except Mistake as error:
            notes.append(str(error))
    return MessageStory(
        key=message["key"],
        trigger=trigger.code,
        title=trigger.spec.title.model_dump(),
        version=message["version"],
        is_present_version=message["version"] == version_of(trigger),
        step=message["step"],
        destination=message["destination"],
        person=message["person_id"],
        entry=message["entry"],
        arm=message["arm"],
        as_of=message["as_of"],
        snapshot=message["snapshot"],
        run=message["run"],
        state=message["state"],
        reason=message["reason"],
        values=_shown(reader, trigger, message),
        decided=_masked(setting, reader, served, row),
        conditions=conditions,
        events=list(_events(setting, message)),
        notes=notes,
        tags=list(_tags(setting, reader, acted, message, looking)) if acted is not None else [],
    )


def _find(setting: Setting, key: str) -> dict[str, Any]:
    """The message of that key, or of the one key that begins so."""
    file = ledger_file(setting.warehouse)
    if not file.exists():
        raise Mistake("there is no outbox yet: nothing was ever planned")
    if len(key) < LEAST_OF_A_KEY:
        raise Mistake(f"'{key}' is too short for a message's key: give at least {LEAST_OF_A_KEY} of its digits")
    with Outbox.open(file) as outbox:
        found = outbox.find(key)
    if len(found) != 1:
        many = f"{len(found)} messages begin so" if found else "there is no such message"
        raise Mistake(f"'{key}': {many}; valtag explain message KEY")
    (message,) = found
    if message["kind"] != "message":
        raise Mistake(f"'{key}' is a sync of the delivery {message['origin']}, which no trigger decided")
    return message


def _state(setting: Setting, message: Mapping[str, Any]) -> Snapshot | None:
    """The trigger's table in which the message was decided."""
    ref = TableRef("triggers", message["origin"])
    own = setting.warehouse.find(ref, message["snapshot"])
    if own is not None and own.as_of == message["as_of"]:
        return own
    return setting.warehouse.current(ref, message["as_of"])


def _row(setting: Setting, served: Snapshot, message: Mapping[str, Any]) -> dict[str, Any]:
    schema = {name: to_ibis_type(data_type(text)) for name, text in served.columns}
    table = unbound("state", schema)
    who, _ = entry_key(linked=ENTERED_AS in schema)
    mine = table.filter(table[who] == message["person_id"], table["entry"] == int(message["entry"]))
    with open_duckdb(setting.spill) as engine:
        rows = engine.fetch(mine, {"state": served.files}).to_pylist()
    return dict(rows[0]) if rows else {}


def _definition(
    setting: Setting, trigger: ResolvedTrigger, served: Snapshot | None, version: str
) -> ResolvedTrigger | None:
    """The definition the person entered on."""
    if version == version_of(trigger):
        return trigger
    if served is None:
        return None
    found, _ = readable_versions(setting, trigger, served.metrics[VERSIONS])
    return found.get(version)


def _conditions(
    setting: Setting, acted: ResolvedTrigger, served: Snapshot, person: str, reader: Reader
) -> list[Seen]:
    """The rule line by line over the very snapshots that were read."""
    assert served.as_of is not None
    rule = acted.rules[WHEN]
    asked = leaf_table(setting.resolved, rule, served.as_of, one_person(person))
    with open_duckdb(setting.spill) as engine:
        rows = engine.fetch(asked, inputs_of(setting, served)).to_pylist()
    if not rows:
        raise Mistake("the person is no longer among the persons")
    row = rows[0] | {f"_seen{number}": rows[0].get(f"_seen{number}") for number, _ in enumerate(leaves(rule))}
    return list(conditions_of(rule, opened_seen(setting, reader, rule, row), hidden_seen(reader, rule)))


def _masked(setting: Setting, reader: Reader, served: Snapshot | None, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the state as the reader may see it."""
    if served is None:
        return {}
    needs = column_needs(reader.resolved, served.table, row)
    order = [name for name in (*STATE, ENTERED_AS, *(n for n in row if n.startswith(SEEN))) if name in row]
    tokens = vaulted_columns(reader.resolved, served.table, row)
    if tokens:
        (row,) = opened_rows(setting, reader, [row], {name: needs[name] for name in tokens})
        order = [n for n in order if n not in tokens or reader.may(needs[n]) or reader.mask(n, needs[n]) != "drop"]
        needs |= dict.fromkeys(tokens, Need("public"))  # masked by now, where they have to be
    return _readable(reader, {name: (needs[name], row[name]) for name in order})


def _readable(reader: Reader, cells: Mapping[str, tuple[Need, Any]]) -> dict[str, Any]:
    """Values with what each takes, as the reader may see them."""
    return {
        name: value if reader.may(need) else reader.masked(name, need, value)
        for name, (need, value) in cells.items()
        if reader.may(need) or reader.mask(name, need) != "drop"
    }


def _shown(reader: Reader, trigger: ResolvedTrigger, message: Mapping[str, Any]) -> dict[str, Any]:
    """What travelled, as the reader may see it."""
    needs = served_needs(reader.resolved)
    to = reader.resolved.destinations.get(message["destination"])
    sources = {field.name: field.source for field in to.fields} if to is not None else {}
    texts = set[str]()
    for action in trigger.spec.actions:
        if action.step == message["step"]:
            sources |= action.fields
            texts |= action.texts.keys()
    unknown, cells = Need("pii"), {}
    for name, value in json.loads(message["values"]).items():
        cells[name] = (needs.get(sources.get(name, ""), Need("public") if name in texts else unknown), value)
    return _readable(reader, cells)


def _events(setting: Setting, message: Mapping[str, Any]) -> Iterator[Event]:
    """Planned, held, sent, answered, what came back: in order."""
    yield Event(message["created_at"], "planned")
    if message["state"] == "pending":
        why = f" ({message['reason']})" if message["reason"] else ""
        yield Event(message["not_before"], f"is sent not before this{why}")
    if message["sent_at"] is not None:
        yield Event(message["sent_at"], f"sent, attempt {message['attempts']}")
    if message["answered_at"] is not None and message["answered_at"] != message["sent_at"]:
        yield Event(message["answered_at"], f"{message['state']} {message['reason']}".strip())
    with Receipts.open(ledger_file(setting.warehouse)) as receipts:
        for row in receipts.read(message["key"]).to_pylist():
            yield Event(row["at"], row["state"])


def _tags(
    setting: Setting, reader: Reader, acted: ResolvedTrigger, message: Mapping[str, Any], looking: Looking
) -> Iterator[Explanation]:
    """Every tag of the rule that the role may read, as it was at the message's as-of."""
    resolved = setting.resolved
    needs = served_needs(resolved)
    read = columns_read(acted.rules[WHEN]) if WHEN in acted.rules else frozenset[str]()
    for code in sorted(read & needs.keys()):
        if reader.may(needs[code]):
            asked = Asked(message["person_id"], code, message["as_of"], looking.by, looking.limit, looking.deep)
            try:
                yield explained(setting, reader, asked)
            except Mistake:
                continue  # its snapshot has left history; the values kept on entering are shown

"""How persons stand to the channels now: reachable, agreed, suppressed, excluded, and where they live.

Read from the newest published tables, whatever a message was decided on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.lookup import ASKED
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.rules import column_inputs, rule_inputs, rule_table, with_columns
from valtag_assets.engine.session import Inputs, unbound
from valtag_assets.engine.trigger_state import ENTERED_AS, MERGED, STATE, entry_key
from valtag_assets.engine.triggers import triggers_name
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_trigger import channel_rules
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import Joined, ResolvedRule
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse

EXCLUDED, ZONE = "excluded", "zone"
_MOST_EXPECTED = 200_000


@dataclass(frozen=True)
class Spell:
    """An entry as it stands: when it was decided, whether the rule still holds, whether the goal was reached, whether
    another entry of the same person goes on instead."""

    entered: date | None
    is_open: bool
    is_done: bool
    is_merged: bool = False


class Standing:
    """Asks the published tables. ``spill``: a folder for working files."""

    def __init__(self, resolved: Resolved, warehouse: Warehouse, spill: Path) -> None:
        self._resolved, self._warehouse, self._spill = resolved, warehouse, spill
        self._expected: set[str] = set()
        self._known: dict[str, Mapping[str, object]] = {}
        self._known_of: tuple[str, ...] = ()

    def expect(self, persons: Iterable[str]) -> None:
        """Who will be asked about soon: looked up with the next who is unknown."""
        self._expected |= set(islice(persons, _MOST_EXPECTED))

    def of(self, persons: Sequence[str]) -> dict[str, Mapping[str, object]]:
        """By person: ``reachable_<channel>``, ``consent_<channel>``, ``suppressed_<channel>`` of those channels that
        have such a rule, ``excluded``, and ``zone``, None where unknown.

        Raises WarehouseError where a table was never published: then nothing is known, and nothing may be sent.
        """
        served = self._served()
        version = tuple(item.id for item in served.values())
        if version != self._known_of:
            self._known, self._known_of = {}, version
        if any(person not in self._known for person in persons):
            asked = {*persons, *self._expected}.difference(self._known)
            self._known |= {str(row[PERSON]): row for row in self._fetch(sorted(asked), served).to_pylist()}
            self._expected.clear()
        return {person: self._known[person] for person in persons}

    def closed(self, channel: str, persons: Sequence[str]) -> set[str]:
        """Those of ``persons`` to whom the channel is closed, whether excluded, suppressed, without consent or out of
        reach. Raises as ``of`` does."""
        rows = self._fetch(sorted(set(persons)), self._served())
        shut = pc.invert(pc.fill_null(rows[f"reachable_{channel}"], False))
        for name, shuts in ((EXCLUDED, True), (f"suppressed_{channel}", True), (f"consent_{channel}", False)):
            if name in rows.column_names:
                said = pc.fill_null(rows[name], False)
                shut = pc.or_(shut, said if shuts else pc.invert(said))
        return set(rows.filter(shut)[PERSON].to_pylist())

    def spells(self, trigger: str, persons: Sequence[str]) -> dict[tuple[str, str], Spell]:
        """How the entries of these persons into a trigger stand in its newest published table, by (person, entry),
        the person as known on entering."""
        served = self._warehouse.latest(TableRef("triggers", trigger))
        if served is None:
            return {}
        who, _ = entry_key(linked=ENTERED_AS in dict(served.columns))
        schema = {name: to_ibis_type(STATE[name][0]) for name in ("entry", "entered", "is_open", "exited", "reason")}
        table = unbound(triggers_name(trigger), {who: "string", **schema})
        asked = unbound(ASKED, {PERSON: "string"})
        mine = table.semi_join(asked, table[who] == asked[PERSON])
        rows = self._ask(mine, {triggers_name(trigger): served.files}, sorted(set(persons))).to_pylist()
        return {
            (row[who], str(row["entry"])): Spell(
                row["entered"],
                row["is_open"],
                row["exited"] is not None,
                MERGED in row["reason"].split(","),
            )
            for row in rows
        }

    def _served(self) -> dict[str, Snapshot]:
        """The newest snapshot of every table that is read."""
        return {name: self._newest(name) for name in standing_tables(self._resolved)}

    def _fetch(self, persons: Sequence[str], served: Mapping[str, Snapshot]) -> pa.Table:
        rules = _rules(self._resolved)
        contact = self._resolved.catalog.project.contact
        as_of = max((item.as_of for item in served.values() if item.as_of is not None), default=date.min)
        table = rule_table(self._resolved, rules, as_of, unbound(ASKED, {PERSON: "string"}))
        zone: ibis.Value = ibis.literal(None, "string")
        if contact.zone is not None:
            table = with_columns(self._resolved, table, [contact.zone])
            zone = table[contact.zone]
        columns = {name.removeprefix("_"): table[name] for name in rules}
        expression = table.select(PERSON, **columns, **{ZONE: zone}).order_by(PERSON)
        inputs = {name: item.files for name, item in served.items()}
        return self._ask(expression, inputs, persons)

    def _ask(self, expression: ibis.Table, inputs: Inputs, persons: Sequence[str]) -> pa.Table:
        with open_duckdb(self._spill) as engine, TemporaryDirectory(dir=self._spill) as space:
            asked = Path(space) / "asked.parquet"
            pq.write_table(pa.table({PERSON: pa.array(persons, pa.string())}), asked)
            return engine.fetch(expression, {**inputs, ASKED: [asked]})

    def _newest(self, name: str) -> Snapshot:
        found = self._warehouse.latest(TableRef.parse(name))
        if found is None:
            raise WarehouseError(f"{name} was never published, so nobody knows who may be sent anything")
        return found


def standing_tables(resolved: Resolved) -> list[str]:
    """Every table that says how persons stand to the channels, by key."""
    names = set(rule_inputs(resolved, _rules(resolved).values()))
    zone = resolved.catalog.project.contact.zone
    return sorted(names | (set(column_inputs(resolved, [zone])) if zone is not None else set()))


def _rules(resolved: Resolved) -> dict[str, ResolvedRule]:
    """The rules asked, each under its name with _ before it, which no tag has."""
    found: dict[str, ResolvedRule] = {}
    for channel in resolved.channels.values():
        found |= {f"_{name}": rule for name, rule in channel_rules(channel).items()}
    if resolved.exclusions:
        found[f"_{EXCLUDED}"] = Joined("any", resolved.exclusions)
    return found

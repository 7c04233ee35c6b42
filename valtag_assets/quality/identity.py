"""What the tables of identity.yaml must satisfy: no key has two persons, nobody is made of two who stay apart."""

from collections.abc import Mapping
from typing import Any

import ibis

from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.quality import queries
from valtag_assets.quality.column import rule_at
from valtag_assets.quality.expectation import NOT_NULL, ROWS, UNIQUE, Expectation
from valtag_assets.quality.table import KEY, row_count, schema
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.identity import Identity
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.snapshot import Snapshot, Verdict

# Checks that leave less than this share of the keys, or persons, of before are an accident.
_MOST_DROP = 0.5


def table_expectations(resolved: Resolved, columns: Mapping[str, DataType]) -> list[Expectation]:
    """The columns are those the catalog's reader knows."""
    return list(schema(_entry(resolved), resolved, columns))


def key_table_expectations(
    resolved: Resolved, columns: Mapping[str, DataType], previous: Snapshot | None
) -> list[Expectation]:
    """Every key has one person in each epoch, every row a person, and what is to stay apart is."""
    entry = _entry(resolved)
    found = [
        row_count(entry, resolved, 1, _MOST_DROP, previous),
        *schema(entry, resolved, columns),
        _present(resolved, entry),
        _one_person(resolved, entry, columns),
    ]
    identity = resolved.identity
    assert identity is not None
    # Where one row may bear two such keys, the keys alone don't say whether one did.
    told = [code for code in identity.entry.spec.apart if len(identity.slots_of(identity.ranks[code])) == 1]
    return [*found, *(_apart(resolved, entry, columns, code) for code in told)]


def successor_expectations(resolved: Resolved, columns: Mapping[str, DataType]) -> list[Expectation]:
    """Every former id once."""
    entry = _entry(resolved)
    title = Title(zh="每个原编号一行", en="one row per former id")
    once = Expectation("once", UNIQUE, "was", {}, "error", "table", title, _rule(resolved, entry), shows="nothing")
    return [once, *schema(entry, resolved, columns)]


def keyed_verdicts(resolved: Resolved, source: ResolvedSource, counted: Mapping[str, int]) -> list[Verdict]:
    """Whether every clean row is there, or told of, and whether each person is one of the keys.

    ``counted``: ``clean`` rows, ``keyed`` rows, ``merged`` into another row of their person, ``nobody``: left out
    since they are nobody's (of masters), ``orphans``: rows of a person that no key has.
    """
    rule = rule_at(_entry(resolved), resolved.catalog.root, "sources", source.code)
    missing = abs(counted["clean"] - counted["keyed"] - counted["merged"] - counted["nobody"])
    title = {"zh": "清洁行 = 归人行 + 合并 + 无人认领", "en": "clean rows = keyed + merged + of nobody"}
    told: dict[str, Any] = {"title": title, "rule": rule, "observed": dict(counted), "expected": counted["clean"]}
    orphans, keyed = counted["orphans"], counted["keyed"]
    title = {"zh": "每一行的人都有标识", "en": "the person of every row has a key"}
    lost: dict[str, Any] = {"title": title, "rule": rule, "observed": orphans, "expected": 0}
    return [
        Verdict("rows_kept", None, "error", missing == 0, "table", missing, counted["clean"], {**told, "sample": []}),
        Verdict("orphans", None, "error", orphans == 0, "table", orphans, keyed, {**lost, "sample": []}),
    ]


def _entry(resolved: Resolved) -> Entry[Identity]:
    assert resolved.identity is not None
    return resolved.identity.entry


def _rule(resolved: Resolved, entry: Entry[Identity], *place: str) -> str:
    return rule_at(entry, resolved.catalog.root, *place)


def _present(resolved: Resolved, entry: Entry[Identity]) -> Expectation:
    title = Title(zh="每个标识都属于某人", en="every key is somebody's")
    return Expectation("person", NOT_NULL, KEY, {}, "error", "table", title, _rule(resolved, entry), shows="nothing")


def _one_person(resolved: Resolved, entry: Entry[Identity], columns: Mapping[str, DataType]) -> Expectation:
    title = Title(zh="每个标识在每段时间内只属于一人", en="a key is one person's at a time")
    table = queries.batch(columns)
    rows = table.group_by(["kind", "key", "since"]).aggregate(rows=table.count())
    return _broken(resolved, entry, "one_person", title, rows.filter(rows["rows"] > 1), table, "kinds")


def _apart(resolved: Resolved, entry: Entry[Identity], columns: Mapping[str, DataType], code: str) -> Expectation:
    """A person with two such keys has something that may hold them together."""
    unless = entry.spec.apart[code].unless
    title = Title(zh=f"{code} 不合并（例外见规则）", en=f"no two {code} are one person, but for the exceptions")
    table = queries.batch(columns)
    own = (table["kind"] == code).cast("int64").sum()
    holding = ibis.or_(*(table["kind"] == kind for kind in unless), table["kind"].isnull()).cast("int64").sum()
    persons = table.group_by(KEY).aggregate(own=own, holding=holding)
    broken = persons.filter(persons["own"] > 1, persons["holding"] == 0)
    return _broken(resolved, entry, f"apart.{code}", title, broken, table, "apart", code)


def _broken(
    resolved: Resolved,
    entry: Entry[Identity],
    check: str,
    title: Title,
    rows: ibis.Table,
    table: ibis.Table,
    *place: str,
) -> Expectation:
    return Expectation(
        check,
        ROWS,
        None,
        {"unexpected_rows_query": queries.rows_query(rows)},
        "error",
        "table",
        title,
        _rule(resolved, entry, *place),
        expected=0,
        measure=queries.measure_query(table.aggregate(evaluated=table.count())),
        shows="nothing",
    )

"""One row per person with everything that is served of them: tags, scores, memberships, variants.

The row is JSON text, so that whoever serves it only reads: a list with the value of every column of ``layout``,
then the list of memberships, then for every placement the number of the rule that decides (0: the default).
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from valtag_assets.engine.persons import PERSON, beside, persons_table
from valtag_assets.engine.rules import HOLDOUT
from valtag_assets.engine.session import unbound
from valtag_assets.engine.vault import values_of, vaulted_tags
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import Resolved, ResolvedPlacement
from valtag_assets.spec.types import DataType

RECORD = "record"
ASKED = "asked"
_NULL = "null"


@dataclass(frozen=True)
class Part:
    """What is taken from one published snapshot: the columns of tags or scores, or who is in an audience.

    ``name`` is that of its files among the engine's inputs. ``segment``: the audience, with its number in the
    layout; ``holdout``: the snapshot says who is held out.
    """

    name: str
    columns: tuple[str, ...] = ()
    segment: str | None = None
    holdout: bool = False


@dataclass(frozen=True)
class Layout:
    """The order of things in a record."""

    columns: tuple[str, ...]
    segments: tuple[str, ...]
    placements: tuple[str, ...]

    @classmethod
    def of(cls, resolved: Resolved) -> "Layout":
        scores = (column for score in resolved.scores.values() for column in score.columns)
        return cls((*resolved.tags, *scores), tuple(resolved.segments), tuple(resolved.placements))


def column_types(resolved: Resolved) -> dict[str, DataType]:
    """The type of every tag and score column."""
    found = {code: tag.type for code, tag in resolved.tags.items()}
    for score in resolved.scores.values():
        found |= score.columns
    return found


def lookup_expression(
    resolved: Resolved, parts: Sequence[Part], as_of: date, *, only_asked: bool = False
) -> ibis.Table:
    """(person_id, record), sorted by person; with ``only_asked`` of the persons in the unbound table "asked" alone.

    Reads identity/persons and the parts by their names. A column or audience in no part is null, and a rule that
    reads one never holds: what is not known decides nothing.
    """
    table = persons_table()
    if only_asked:
        table = table.semi_join(unbound(ASKED, {PERSON: "string"}), PERSON)
    types, layout = column_types(resolved), Layout.of(resolved)
    for part in (part for part in parts if part.segment is None):
        schema = {PERSON: ibis.dtype("string")} | {name: to_ibis_type(types[name]) for name in part.columns}
        table = beside(table, unbound(part.name, schema))
    audiences = {part.segment: part for part in parts if part.segment is not None}
    read = frozenset[str]().union(*(item.segments for item in resolved.placements.values()))
    for code in sorted(read & audiences.keys()):
        # Its code names nothing else, or the catalog would have been refused.
        table = beside(table, _members(audiences[code]).mutate(**{code: ibis.literal(True)}))
        table = table.mutate(**{code: table[code].fill_null(False)})
    table = beside(table, _memberships(layout, audiences))
    there = {name for part in parts for name in part.columns}
    values = [json_text(table[name], types[name]) if name in there else _none() for name in layout.columns]
    values.append(_list_json(table[_MEMBERSHIPS]).fill_null("[]"))
    known = there | audiences.keys()
    values += [_rule_number(item, table, known, as_of).cast("string") for item in resolved.placements.values()]
    record = ibis.literal("[").concat(ibis.array(values).join(","), "]")
    return table.select(table[PERSON], record.name(RECORD)).order_by(PERSON)


def opened_part(resolved: Resolved, part: Part, *, only_asked: bool = False) -> ibis.Table | None:
    """The columns of a part with what their tokens stand for, which reads the vault; None where it has none."""
    names = [name for name in part.columns if name in vaulted_tags(resolved)]
    if not names:
        return None
    types = column_types(resolved)
    schema = {PERSON: ibis.dtype("string")} | {name: to_ibis_type(types[name]) for name in part.columns}
    table = unbound(part.name, schema)
    if only_asked:
        table = table.semi_join(unbound(ASKED, {PERSON: "string"}), PERSON)
    return values_of(table, names, PERSON)


def json_text(value: ir.Value, kind: DataType) -> ir.StringValue:
    """A value as JSON: decimals, dates and timestamps as text (exact; ISO 8601), lists as arrays, nothing as null."""
    if kind.kind == "text":
        text = _text_json(value)
    elif kind.kind == "list":
        text = _list_json(value)
    elif kind.kind in ("decimal", "date"):
        text = _quoted(value.cast("string"))
    elif kind.kind == "timestamp":
        text = _quoted(value.cast("string").replace(" ", "T"))
    elif kind.kind == "float":
        # JSON knows no infinity; cleaning refuses them, so this is only for what a formula may make.
        text = ibis.ifelse(value.isinf() | value.isnan(), ibis.null("string"), value.cast("string"))
    else:
        text = value.cast("string")
    return text.fill_null(_NULL)


_MEMBERSHIPS = "_memberships"


def membership_code(number: int, holdout: bool) -> int:
    """How a record says that somebody is in the audience of that number in the layout."""
    return 2 * number + int(holdout)


def _none() -> ir.StringValue:
    return ibis.literal(_NULL)


def _quoted(text: ir.StringValue) -> ir.StringValue:
    return ibis.literal('"').concat(text, '"')


@ibis.udf.scalar.builtin(name="to_json")
def _to_json_of_text(value: dt.string) -> dt.json:  # type: ignore[empty-body]
    """DuckDB's own JSON form of a text."""


@ibis.udf.scalar.builtin(name="to_json")
def _to_json_of_texts(value: dt.Array(dt.string)) -> dt.json:  # type: ignore[valid-type, empty-body]
    """DuckDB's own JSON form of a list of texts."""


@ibis.udf.scalar.builtin(name="to_json")
def _to_json_of_numbers(value: dt.Array(dt.int64)) -> dt.json:  # type: ignore[valid-type, empty-body]
    """DuckDB's own JSON form of a list of numbers."""


def _text_json(value: ir.Value) -> ir.StringValue:
    return _to_json_of_text(value).cast("string")


def _list_json(value: ir.Value) -> ir.StringValue:
    of_text = value.type().value_type.is_string()
    return (_to_json_of_texts if of_text else _to_json_of_numbers)(value).cast("string")


def _audience(part: Part) -> ibis.Table:
    schema = {PERSON: "string"} | ({HOLDOUT: "boolean"} if part.holdout else {})
    return unbound(part.name, schema)


def _members(part: Part) -> ibis.Table:
    """(person_id) of those an audience acts on: who is held out of it must not be shown what it is shown."""
    table = _audience(part)
    if part.holdout:
        table = table.filter(~table[HOLDOUT].fill_null(False))
    return table.select(PERSON)


def _memberships(layout: Layout, audiences: Mapping[str, Part]) -> ibis.Table:
    """(person_id, codes) of everybody who is in some audience: ``membership_code``, ascending."""
    found = []
    for number, code in enumerate(layout.segments):
        if code in audiences:
            table = _audience(audiences[code])
            value, held = (ibis.literal(membership_code(number, out), "int64") for out in (False, True))
            if audiences[code].holdout:
                value = ibis.ifelse(table[HOLDOUT].fill_null(False), held, value)
            found.append(table.select(PERSON, value.name(_MEMBERSHIPS)))
    if not found:
        nobody = persons_table()
        found = [nobody.select(PERSON, ibis.literal(0, "int64").name(_MEMBERSHIPS)).filter(ibis.literal(False))]
    rows = ibis.union(*found) if len(found) > 1 else found[0]
    return rows.group_by(PERSON).aggregate(rows[_MEMBERSHIPS].collect().sort().name(_MEMBERSHIPS))


def _rule_number(placement: ResolvedPlacement, table: ibis.Table, known: Set[str], as_of: date) -> ir.IntegerValue:
    """The number of the first rule that holds, from 1; 0 for none."""
    branches = []
    for number, (_, node) in enumerate(placement.rules, 1):
        if names_read(node) <= known:
            branches.append((compile_condition(node, table, as_of), ibis.literal(number, "int64")))
    return ibis.cases(*branches, else_=ibis.literal(0, "int64")) if branches else ibis.literal(0, "int64")

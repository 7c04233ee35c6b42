"""A sample of persons computed once more from the clean rows, and compared with what is served, cell by cell."""

from collections.abc import Sequence
from datetime import date

import ibis

from valtag_assets.engine.persons import PERSON, owner_column, persons_table, rows_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.tags import category_table
from valtag_assets.expression.resolved import Resolved, ResolvedSource

SAMPLE, SERVED, AGAIN = "sample", "served", "again"


def sample_expression(persons: int, seed: int, as_of: date) -> ibis.Table:
    """(person_id): so many of the population, drawn by ``seed`` and another draw for every as-of; sorted."""
    table = persons_table()
    drawn = (table[PERSON] + f"|{seed}|{as_of}").hexdigest("md5")
    some = table.mutate(_drawn=drawn).order_by(["_drawn", PERSON]).limit(persons)
    return some.select(PERSON).order_by(PERSON)


def rows_of_sample(source: ResolvedSource) -> ibis.Table:
    """The rows of the persons in ``SAMPLE``."""
    rows, sample = rows_table(source), unbound(SAMPLE, {PERSON: "string"})
    return rows.semi_join(sample, rows[owner_column(source)].cast("string") == sample[PERSON])


def differing_counts(resolved: Resolved, category: str) -> ibis.Table:
    """One row: per tag how many persons' values differ between ``SERVED`` and ``AGAIN``; ``_absent``: persons that
    are not served at all; ``_persons``: how many were compared."""
    table = _compared(resolved, category)
    counts = {code: _differs(table, code).cast("int64").sum() for code in _codes(resolved, category)}
    return table.aggregate(
        _persons=table.count(), _absent=table["_there"].isnull().cast("int64").sum(), **_safe(counts)
    )


def differing_rows(resolved: Resolved, category: str, code: str, limit: int) -> ibis.Table:
    """(person_id, served, again) of some persons whose value of the tag differs, both values as text."""
    table = _compared(resolved, category)
    found = table.filter(_differs(table, code))
    rows = found.select(PERSON, served=found[f"_{code}"].cast("string"), again=found[code].cast("string"))
    return rows.order_by(PERSON).limit(limit)


def count_column(code: str) -> str:
    """The column of ``differing_counts`` for one tag."""
    return f"n_{code}"


def _safe(counts: dict[str, ibis.Value]) -> dict[str, ibis.Value]:
    return {count_column(code): count for code, count in counts.items()}


def _codes(resolved: Resolved, category: str) -> Sequence[str]:
    return [tag.code for tag in resolved.categories[category].tags]


def _compared(resolved: Resolved, category: str) -> ibis.Table:
    columns = category_table(resolved, category).schema()
    again, served = unbound(AGAIN, columns), unbound(SERVED, columns)
    other = served.select(_there=served[PERSON], **{f"_{code}": served[code] for code in _codes(resolved, category)})
    return again.left_join(other, again[PERSON] == other["_there"])


def _differs(table: ibis.Table, code: str) -> ibis.Value:
    return ~table[code].identical_to(table[f"_{code}"])

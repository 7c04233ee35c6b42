"""How identities look in numbers: sizes, how many rows of each source found a person, what was refused."""

from typing import Any

import ibis

from valtag_assets.engine.identity.tables import HISTORY, IDENTIFIERS, KEYS, REVIEW, identity_table
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.engine.persons import OWNER, PERSON, persons_table, rows_table
from valtag_assets.expression.resolved import Resolved

# Persons of more identifiers are counted together.
MOST = 20


def identifier_figures(work: Work) -> dict[str, Any]:
    """``kinds``: usable keys by kind. ``refused``: keys by reason, then kind."""
    table = identity_table(IDENTIFIERS)
    kinds = table.group_by(["kind", "reason"]).aggregate(keys=table.count()).order_by(["kind", "reason"])
    usable: dict[str, int] = {}
    refused: dict[str, dict[str, int]] = {}
    for row in work.rows(kinds):
        found = usable if row["reason"] is None else refused.setdefault(row["reason"], {})
        found[row["kind"]] = row["keys"]
    return {"kinds": usable, "refused": refused}


def key_figures(work: Work) -> dict[str, Any]:
    """``persons``; ``sizes``: how many persons have how many identifiers, as [identifiers, persons], the last of
    MOST or more; ``largest``: the most identifiers of one person."""
    table = identity_table(KEYS)
    sizes = table.group_by(PERSON).aggregate(size=table.count())
    persons = sizes.group_by(sizes["size"].clip(upper=MOST).name("shown")).aggregate(
        persons=sizes.count(), largest=sizes["size"].max()
    )
    rows = work.rows(persons.order_by("shown"))
    return {
        "persons": sum(row["persons"] for row in rows),
        "sizes": [[int(row["shown"]), row["persons"]] for row in rows],
        "largest": max((int(row["largest"]) for row in rows), default=0),
    }


def channel_figures(work: Work, resolved: Resolved) -> list[dict[str, Any]]:
    """Of every channel: ``channel`` (None where a row says none), ``rows``, how many of them are ``identified``:
    somebody's, how many are ``known``: of the population, and of how many ``persons`` of it. The rows of a master
    are those that are left, one a person."""
    identity = resolved.identity
    assert identity is not None
    known, parts = persons_table().select(_known=PERSON), []
    for code, origin in identity.entry.spec.channels.items():
        rows = rows_table(resolved.sources[code])
        channel = ibis.literal(origin.name) if origin.field is None else rows[origin.field]
        parts.append(rows.select(channel=channel, person=OWNER))
    if not parts:
        return []
    table = united(parts)
    both = table.left_join(known, table["person"] == known["_known"])
    told = both.group_by("channel").aggregate(
        rows=both.count(),
        identified=both["person"].count(),
        known=both["_known"].count(),
        persons=both["_known"].nunique(),
    )
    return work.rows(told.order_by([ibis.desc("rows"), "channel"]))


def most_refused(most: int) -> ibis.Table:
    """The rows of REVIEW that most rows bear."""
    table = identity_table(REVIEW)
    return table.order_by([ibis.desc("rows"), "kind", "key"]).limit(most)


def newest_changes(most: int) -> ibis.Table:
    """(ordinal, event, n): how often each event happened at each of the newest changes. Nobody is named."""
    table = identity_table(HISTORY)
    counted = table.group_by(["ordinal", "event"]).aggregate(n=table.count())
    ago = counted["ordinal"].max().over() - counted["ordinal"]
    return counted.mutate(ago=ago).filter(lambda one: one["ago"] < most).order_by(["ordinal", "event"]).drop("ago")

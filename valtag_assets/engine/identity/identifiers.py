"""Every identifier that was seen, with the piece it belongs to, or why it belongs to none; and who each piece is.

A piece is named by a 128-bit hash of its smallest member. A person keeps its id as long as anything is left of it:
against the keys published before, the biggest piece of each former person keeps the id (of pieces as big, the one of
the smallest name), and where several claim one piece, the one who brings most (of equals, the smallest id). A piece
nobody claims is born with its own name, or, where that is somebody's id still, with one of this generation.
"""

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.linking import NODE, PIECE, Linked, link
from valtag_assets.engine.identity.sightings import Nodes, find_nodes
from valtag_assets.engine.identity.tables import IDENTIFIERS, KEYS, REVIEW, identity_table, typed
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.engine.persons import PERSON
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_identity import ResolvedIdentity

BEFORE = "keys_before"


def find_identifiers(work: Work, resolved: Resolved) -> ibis.Table:
    """The rows of IDENTIFIERS, from the clean tables whose files ``work`` has."""
    identity = resolved.identity
    assert identity is not None
    nodes = find_nodes(work, resolved)
    return _identifiers(identity, nodes, link(work, identity, nodes))


def _identifiers(identity: ResolvedIdentity, nodes: Nodes, linked: Linked) -> ibis.Table:
    pieces, refused = linked.pieces.rename({"_node": NODE}), linked.refused.rename({"_refused": NODE})
    table = nodes.table
    table = table.left_join(pieces, table["id"] == pieces["_node"])
    table = table.left_join(refused, table["id"] == refused["_refused"])
    smallest = nodes.table.select(_smallest="id", _name=_name(identity, nodes.table))
    table = table.left_join(smallest, ibis.coalesce(table[PIECE], table["id"]) == smallest["_smallest"])
    name = table["reason"].isnull().ifelse(table["_name"], ibis.null("string"))
    usable = table.select(
        *("id", "rank", "key", "since", "until", "first_seen", "last_seen", "rows", "sources", "reason", "degree"),
        piece=name,
    )
    none = {
        "id": ibis.null("int64"),
        "since": ibis.null("date"),
        "until": ibis.null("date"),
        "piece": ibis.null("string"),
    }
    values = nodes.refused.mutate(degree=ibis.null("int64"), **none).select(*usable.columns)
    both = united([usable, values]).order_by([ibis.asc("id", nulls_first=True), "rank", "key", "reason"])
    return typed(both.mutate(kind=_kind(identity, both["rank"])), IDENTIFIERS)


def review(identifiers: ibis.Table) -> ibis.Table:
    """The rows of REVIEW: what identifies nobody, and why."""
    return typed(identifiers.filter(identifiers["reason"].notnull()).order_by(["kind", "key", "first_seen"]), REVIEW)


def keys(generation: int, *, before: bool) -> ibis.Table:
    """The rows of KEYS, from IDENTIFIERS and, if there was something ``before``, the keys of then (BEFORE)."""
    found = identity_table(IDENTIFIERS)
    usable = found.filter(found[PIECE].notnull())
    if not before:
        return _sorted(usable.mutate(**{PERSON: usable[PIECE]}))
    kept = _kept(overlaps(usable, PIECE, identity_table(KEYS, BEFORE)))
    taken = kept.select(_taken="was").distinct()
    table = usable.left_join(kept.rename({"_piece": PIECE}), usable[PIECE] == kept[PIECE])
    table = table.left_join(taken, table[PIECE] == taken["_taken"])
    other = (table[PIECE] + f"|{generation}").hexdigest("md5")
    born = table["_taken"].isnull().ifelse(table[PIECE], other)
    return _sorted(table.mutate(**{PERSON: ibis.coalesce(table["was"], born)}))


def overlaps(now: ibis.Table, column: str, before: ibis.Table) -> ibis.Table:
    """(was, ``column``, keys): how many keys each former person has in each of ``column`` now."""
    old = before.select(_kind="kind", _key="key", _since="since", _until="until", was=PERSON)
    begun = now["since"].isnull() | old["_until"].isnull() | (now["since"] < old["_until"])
    ended = old["_since"].isnull() | now["until"].isnull() | (old["_since"] < now["until"])
    same = now.join(old, [now["kind"] == old["_kind"], now["key"] == old["_key"], begun, ended])
    return same.group_by(["was", column]).aggregate(keys=same.count())


def _kept(shared: ibis.Table) -> ibis.Table:
    """(piece, was): which pieces keep the id of a former person."""
    biggest = ibis.row_number().over(group_by="was", order_by=[ibis.desc("keys"), PIECE])
    claims = shared.mutate(place=biggest).filter(lambda table: table["place"] == 0)
    best = ibis.row_number().over(group_by=PIECE, order_by=[ibis.desc("keys"), "was"])
    return claims.mutate(place=best).filter(lambda table: table["place"] == 0).select(PIECE, "was")


def _name(identity: ResolvedIdentity, nodes: ibis.Table) -> ir.StringValue:
    since = nodes["since"].cast("string").fill_null("")
    salt = ibis.literal(f"{identity.entry.spec.salt}|")
    return (salt + _kind(identity, nodes["rank"]) + "|" + since + "|" + nodes["key"]).hexdigest("md5")


def _kind(identity: ResolvedIdentity, rank: ir.Value) -> ir.StringValue:
    branches = [(rank == number, ibis.literal(kind.code)) for number, kind in enumerate(identity.kinds)]
    return ibis.cases(*branches, else_=ibis.null("string"))


def _sorted(table: ibis.Table) -> ibis.Table:
    return typed(table, KEYS).order_by(["kind", "key", ibis.asc("since", nulls_first=True)])

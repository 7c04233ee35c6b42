"""Every identifier that was seen, with the piece it belongs to, or why it belongs to none; and who each piece is.

A piece is named by a 128-bit hash of its smallest member. A person keeps its id as long as anything is left of it:
against the keys published before, the biggest piece of each former person keeps the id (of pieces as big, the one of
the smallest name), and where several claim one piece, the one who brings most (of equals, the smallest id). A piece
nobody claims is born with its own name, or, where that is somebody's id still, with one of this generation.
"""

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.linking import CONFLICT, NODE, PIECE, SHARED, Linked, link
from valtag_assets.engine.identity.sightings import BLOCKED, MALFORMED, Nodes, bits, find_nodes, sources
from valtag_assets.engine.identity.tables import IDENTIFIERS, KEYS, REVIEW, identity_table, typed
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.engine.persons import PERSON
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_identity import ResolvedIdentity

BEFORE = "keys_before"
REASONS = (MALFORMED, BLOCKED, SHARED, CONFLICT)
_EVER = ibis.date("0001-01-01")


def find_identifiers(work: Work, resolved: Resolved) -> ibis.Table:
    """The rows of IDENTIFIERS, from the clean tables whose files ``work`` has."""
    identity = resolved.identity
    assert identity is not None
    nodes = find_nodes(work, resolved)
    return _identifiers(identity, nodes, link(work, identity, nodes))


def _identifiers(identity: ResolvedIdentity, nodes: Nodes, linked: Linked) -> ibis.Table:
    table, refused = nodes.table, linked.refused.rename({"_refused": NODE})
    pieces, names = linked.pieces.rename({"_node": NODE}), _names(identity, nodes, linked)
    table = table.left_join(pieces, table["id"] == pieces["_node"])
    table = table.left_join(refused, table["id"] == refused["_refused"])
    table = table.left_join(names, ibis.coalesce(table[PIECE], table["id"]) == names["_piece"])
    # Who is alone has no piece, and its own name.
    name = ibis.coalesce(table["_name"], _name(identity, table))
    usable = table.select(
        *("id", "rank", "key", "since", "until", "first_seen", "last_seen", "rows", *bits(identity)),
        *("reason", "degree"),
        piece=table["reason"].isnull().ifelse(name, None),
    )
    none = {
        "id": ibis.null("int64"),
        "since": ibis.null("date"),
        "until": ibis.null("date"),
        "piece": ibis.null("string"),
    }
    values = nodes.refused.mutate(degree=ibis.null("int64"), **none).select(*usable.columns)
    both = united([usable, values])
    # Texts that are but few are written out after sorting, which is dear by the text.
    both = both.mutate(reason=_place(both["reason"])).order_by(_order(identity, both))
    reason = ibis.cases(*((both["reason"] == place, text) for place, text in enumerate(REASONS)), else_=None)
    texts = {"kind": _kind(identity, both["rank"]), "sources": sources(identity, both), "reason": reason}
    return typed(both.mutate(**texts), IDENTIFIERS)


def _place(reason: ir.StringValue) -> ir.IntegerValue:
    return ibis.cases(*((reason == text, place) for place, text in enumerate(REASONS)), else_=ibis.null("int8"))


def _order(identity: ResolvedIdentity, table: ibis.Table) -> list[ir.Value]:
    """Values that are no keys, then the nodes; by strength, key and epoch. What is compared is kept short, for it is
    copied beside every row."""
    place = table["id"].isnull().ifelse(table["rank"] - len(identity.kinds), table["rank"])
    since = [table["since"].asc(nulls_first=True)] if _has_epochs(identity) else []
    return [place.cast("int16"), table["key"], *since]


def _has_epochs(identity: ResolvedIdentity) -> bool:
    return any(kind.days for kind in identity.kinds)


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


def _names(identity: ResolvedIdentity, nodes: Nodes, linked: Linked) -> ibis.Table:
    """(_piece, _name) of the pieces of two nodes or more. A piece's number is of its strongest kind, so its smallest
    node is the first of that kind."""
    pieces, numbers = linked.pieces, nodes.numbers
    heads = pieces.filter(numbers.same_kind(pieces[NODE], pieces[PIECE]))
    heads = united([heads, pieces.select(**{NODE: PIECE, PIECE: PIECE}).distinct()])
    both = nodes.table.join(heads, nodes.table["id"] == heads[NODE])
    found = both.group_by(PIECE)
    if _has_epochs(identity):
        # A struct must hold no null, which means the first epoch.
        first = ibis.struct({"key": both["key"], "since": both["since"].fill_null(_EVER)})
        least = found.aggregate(rank=both["rank"].min(), first=first.min())
        least = least.mutate(key=least["first"]["key"], since=least["first"]["since"].nullif(_EVER))
    else:
        least = found.aggregate(rank=both["rank"].min(), key=both["key"].min(), since=both["since"].min())
    return least.select(_piece=PIECE, _name=_name(identity, least))


def _name(identity: ResolvedIdentity, nodes: ibis.Table) -> ir.StringValue:
    since = nodes["since"].cast("string").fill_null("")
    salt = ibis.literal(f"{identity.entry.spec.salt}|")
    return (salt + _kind(identity, nodes["rank"]) + "|" + since + "|" + nodes["key"]).hexdigest("md5")


def _kind(identity: ResolvedIdentity, rank: ir.Value) -> ir.StringValue:
    branches = [(rank == number, ibis.literal(kind.code)) for number, kind in enumerate(identity.kinds)]
    return ibis.cases(*branches, else_=ibis.null("string"))


def _sorted(table: ibis.Table) -> ibis.Table:
    return typed(table, KEYS).order_by(["kind", "key", ibis.asc("since", nulls_first=True)])

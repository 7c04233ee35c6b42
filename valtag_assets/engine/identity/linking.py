"""Who belongs together: identifiers joined kind by kind, the strongest first.

Every row links its strongest usable identifier, the hub, to its others. At the level of a kind its keys join the
pieces that are there already, unless they are refused: ``shared``, when a key stands beside more distinct hubs than
its limit; ``conflict``, when what it joins would hold two keys of a kind that stays apart (spec.identity.Apart). Then
all keys of this level that join pieces there are refused, and the pieces stay as they were. A refused key identifies
nobody, so it is no hub at weaker levels either. Nothing depends on the order of rows.

Keys of one kind in one row without a hub are a *cluster*, and join as one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import ibis

from valtag_assets.engine.identity.components import NODE, ROOT, components
from valtag_assets.engine.identity.sightings import Nodes
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.expression.resolved_identity import ResolvedIdentity

SHARED, CONFLICT = "shared", "conflict"
PIECE, CLUSTER, HUB = "piece", "cluster", "hub"


@dataclass(frozen=True)
class Linked:
    """``pieces``: (node, piece) of every node that is not the smallest of its piece, which names it. ``refused``:
    (node, reason, degree) of the refused ones."""

    pieces: ibis.Table
    refused: ibis.Table


def link(work: Work, identity: ResolvedIdentity, nodes: Nodes) -> Linked:
    """The pieces that ``nodes`` fall into."""
    none = nodes.table.filter(ibis.literal(False))
    no_pieces = work.keep("pieces", none.select(node="id", piece="id"))
    no_refusals = work.keep("refused", none.select(node="id", reason="key", degree="id"))
    linking = _Linking(work, identity, nodes, nodes.patterns, no_pieces, [no_refusals])
    for rank in identity.ranks_borne:
        linking.join_level(rank)
    return Linked(linking.pieces, united(linking.refused))


@dataclass
class _Linking:
    """The state between levels: the pieces so far, and the patterns without the keys refused so far."""

    work: Work
    identity: ResolvedIdentity
    nodes: Nodes
    patterns: ibis.Table
    pieces: ibis.Table
    refused: list[ibis.Table] = field(default_factory=list)

    def join_level(self, rank: int) -> None:
        """Join the keys of one kind to what is there."""
        hubs = self._hubs(rank)
        limit = self.identity.kinds[rank].limit
        if limit is not None:
            over = _degrees(hubs).filter(lambda table: table["degree"] > limit)
            self.refused.append(self.work.keep("shared", over.mutate(reason=ibis.literal(SHARED)).select(*_REFUSED)))
            hubs = self.work.keep("hubs", hubs.anti_join(self.refused[-1], [NODE]))
            self._forget(rank)
        clusters = self._clusters(rank)
        joins = self.work.keep("joins", self._joins(hubs, clusters))
        roots = self._roots(joins)
        bad = self._bad_roots(rank, hubs, clusters, roots)
        if self.work.number(bad):
            caught = self.work.keep("caught", _connectors(joins, roots, bad))
            self.refused.append(self.work.keep("conflicts", self._members(rank, hubs, clusters, caught)))
            joins, clusters = joins.anti_join(caught, [CLUSTER]), clusters.anti_join(caught, [CLUSTER])
            roots = roots.anti_join(bad, [ROOT])
            self._forget(rank)
        self.pieces = self.work.keep("pieces", _joined(self.pieces, joins, clusters, roots))

    def _hubs(self, rank: int) -> ibis.Table:
        """(node, hub): every key of the kind, and the strongest usable identifier of its rows; not distinct."""
        table = self.patterns
        stronger = [table[slot.name] for slot in self.identity.slots if slot.rank < rank]
        hub = ibis.coalesce(*stronger) if stronger else ibis.null("int64")
        pairs = [table.select(node=slot.name, hub=hub) for slot in self.identity.slots_of(rank)]
        return united([beside.filter(beside[NODE].notnull(), beside[HUB].notnull()) for beside in pairs])

    def _clusters(self, rank: int) -> ibis.Table:
        """(node, cluster): keys that stand together in rows without a hub; not the smallest, which names them."""
        table, own = self.patterns, [slot.name for slot in self.identity.slots_of(rank)]
        if len(own) == 1:
            return self._no(CLUSTER)
        alone = ibis.and_(*(table[slot.name].isnull() for slot in self.identity.slots if slot.rank < rank), True)
        first = ibis.coalesce(*(table[name] for name in own))
        pairs = [table.filter(alone).select(a=first, b=name) for name in own[1:]]
        links = united([pair.filter(pair["a"] != pair["b"]) for pair in pairs])
        return components(self.work, links).rename({CLUSTER: ROOT})

    def _joins(self, hubs: ibis.Table, clusters: ibis.Table) -> ibis.Table:
        """(cluster, piece): which pieces each cluster stands beside; not distinct."""
        of = clusters.rename({"_node": NODE, "_cluster": CLUSTER})
        pieces = self.pieces.rename({"_hub": NODE})
        table = hubs.left_join(of, hubs[NODE] == of["_node"])
        table = table.left_join(pieces, table[HUB] == pieces["_hub"])
        cluster, piece = ibis.coalesce(table["_cluster"], table[NODE]), ibis.coalesce(table[PIECE], table[HUB])
        return table.select(cluster=cluster, piece=piece)

    def _roots(self, joins: ibis.Table) -> ibis.Table:
        """(node, root): pieces that clusters join, and the smallest piece they are joined with; not that one."""
        first = joins.group_by(CLUSTER).aggregate(first=joins[PIECE].min()).rename({"_cluster": CLUSTER})
        both = joins.join(first, joins[CLUSTER] == first["_cluster"])
        return components(self.work, both.filter(both[PIECE] != both["first"]).select(a=PIECE, b="first"))

    def _bad_roots(self, rank: int, hubs: ibis.Table, clusters: ibis.Table, roots: ibis.Table) -> ibis.Table:
        """(root): what would hold two keys that stay apart."""
        found = [self._no(ROOT).select(ROOT)]
        for kind, allowed in self.identity.apart.items():
            if kind < rank:
                free = allowed | {kind} if rank in allowed else frozenset[int]()
                exempt = (
                    self._roots(self._joins(hubs.filter(self.nodes.numbers.is_of(free, hubs[HUB])), clusters))
                    if free
                    else None
                )
                found.append(self._holding_two(kind, roots, exempt))
        return self.work.keep("bad", united(found, distinct=True))

    def _holding_two(self, kind: int, roots: ibis.Table, exempt: ibis.Table | None) -> ibis.Table:
        """(root): where keys of ``kind`` come together that are not one piece, nor made one by ``exempt`` joins."""
        holders = self._of({kind}).select(node="id")
        held = _mapped(holders.mutate(piece=NODE), self.pieces.rename({ROOT: PIECE})).select(PIECE).distinct()
        held = _mapped(held.mutate(end=PIECE), roots, "end")
        if exempt is not None:
            held = _mapped(held, exempt).distinct()
        return held.group_by("end").aggregate(n=held[PIECE].nunique()).filter(lambda t: t["n"] > 1).select(root="end")

    def _members(self, rank: int, hubs: ibis.Table, clusters: ibis.Table, caught: ibis.Table) -> ibis.Table:
        """(node, reason, degree) of the keys of the clusters that were ``caught``."""
        own = self._of({rank}).select(node="id", cluster="id")
        own = _mapped(own, clusters.rename({ROOT: CLUSTER}), CLUSTER).semi_join(caught, [CLUSTER])
        beside = _degrees(hubs).rename({"_node": NODE})
        table = own.left_join(beside, own[NODE] == beside["_node"])
        return table.select(node=NODE, reason=ibis.literal(CONFLICT), degree=ibis.coalesce(table["degree"], 0))

    def _of(self, ranks: Iterable[int]) -> ibis.Table:
        """The nodes of these kinds."""
        return self.nodes.table.filter(self.nodes.numbers.is_of(ranks, self.nodes.table["id"]))

    def _forget(self, rank: int) -> None:
        """Take the keys refused last out of the patterns: no row is known by them any more."""
        table, gone = self.patterns, self.refused[-1].select(_node=NODE)
        if not self.work.number(gone):
            return
        for slot in self.identity.slots_of(rank):
            both = table.left_join(gone, table[slot.name] == gone["_node"])
            table = both.mutate(**{slot.name: both["_node"].isnull().ifelse(both[slot.name], None)}).drop("_node")
        self.patterns = self.work.keep("patterns", table)

    def _no(self, what: str) -> ibis.Table:
        """(node, ``what``) without rows."""
        return self.nodes.table.filter(ibis.literal(False)).select(**{NODE: "id", what: "rank"})


_REFUSED = (NODE, "reason", "degree")


def _degrees(hubs: ibis.Table) -> ibis.Table:
    """(node, degree): beside how many distinct hubs each key stands."""
    return hubs.group_by(NODE).aggregate(degree=hubs[HUB].nunique())


def _mapped(table: ibis.Table, to: ibis.Table, column: str = PIECE) -> ibis.Table:
    """``table`` with ``column`` led from the node ``to`` knows to its root; what it does not know stays."""
    other = to.select(_node=NODE, _root=to.columns[1])
    both = table.left_join(other, table[column] == other["_node"])
    return both.mutate(**{column: ibis.coalesce(both["_root"], both[column])}).drop("_node", "_root")


def _connectors(joins: ibis.Table, roots: ibis.Table, bad: ibis.Table) -> ibis.Table:
    """(cluster): those that stand beside two pieces or more of what is ``bad``."""
    ends = _mapped(joins.mutate(end=PIECE), roots, "end")
    there = ends.semi_join(bad, ends["end"] == bad[ROOT])
    pieces = there.group_by(CLUSTER).aggregate(first=there[PIECE].min(), last=there[PIECE].max())
    return pieces.filter(pieces["first"] != pieces["last"]).select(CLUSTER)


def _joined(pieces: ibis.Table, joins: ibis.Table, clusters: ibis.Table, roots: ibis.Table) -> ibis.Table:
    """(node, piece) after a level: pieces are their roots now, clusters belong where they stand."""
    first = joins.group_by(CLUSTER).aggregate(piece=joins[PIECE].min())
    attached = _mapped(first, roots).select(node=CLUSTER, piece=PIECE)
    members = _mapped(clusters.mutate(piece=CLUSTER), attached).select(NODE, PIECE)
    return united([_mapped(pieces, roots), roots.select(node=NODE, piece=ROOT), attached, members])

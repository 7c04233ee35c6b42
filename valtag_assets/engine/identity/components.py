"""Connected components by hub contraction and stars, set-based: every round halves what is left of a chain.

Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii: Connected Components in MapReduce and Beyond (SoCC 2014). A
large-star links every larger neighbour of a node to the smallest of its neighbourhood, a small-star every smaller
one; when nothing moves, each component is a star around its smallest node. O(log² n) rounds, in practice few.
"""

import ibis

from valtag_assets.engine.identity.work import Work

NODE, ROOT = "node", "root"


def components(work: Work, edges: ibis.Table) -> ibis.Table:
    """(node, root) for every node of the components of ``edges`` (a, b: int64, a ≠ b) but the smallest of each,
    which is the root."""
    links = work.keep("links", _downwards(edges))
    while True:
        links = work.keep("large", _large_star(links))
        links = work.keep("small", _small_star(links))
        if _stars(work, links):
            return links.rename({NODE: "a", ROOT: "b"})


def _downwards(edges: ibis.Table) -> ibis.Table:
    """Every edge once, from the larger node ``a`` to the smaller ``b``."""
    larger, smaller = ibis.greatest(edges["a"], edges["b"]), ibis.least(edges["a"], edges["b"])
    return edges.select(a=larger, b=smaller).distinct()


def _large_star(links: ibis.Table) -> ibis.Table:
    """Links every larger neighbour of each node to the smallest of the node and its neighbours."""
    least = links.group_by("a").aggregate(least=links["b"].min())
    # The smaller end of a link may itself have smaller neighbours; the larger end's own links stay as they are.
    near = least.rename({"hub": "a"})
    joined = links.left_join(near, links["b"] == near["hub"])
    return joined.select(a=joined["a"], b=ibis.coalesce(joined["least"], joined["b"])).distinct()


def _small_star(links: ibis.Table) -> ibis.Table:
    """Links every smaller neighbour of each node, and the node, to the smallest of them."""
    least = links.group_by("a").aggregate(least=links["b"].min())
    own = least.rename({"hub": "a"})
    joined = links.join(own, links["a"] == own["hub"])
    others = joined.filter(joined["b"] != joined["least"]).select(a="b", b="least")
    itself = least.select("a", b="least")
    return ibis.union(others, itself, distinct=True)


def _stars(work: Work, links: ibis.Table) -> bool:
    """Whether every node has one link, and no node linked to has one itself."""
    ends = links.select(end="a").distinct()
    counted = links.aggregate(links=links.count(), nodes=links["a"].nunique())
    inner = links.semi_join(ends, links["b"] == ends["end"])
    found = work.rows(counted.cross_join(inner.aggregate(inner=inner.count())))[0]
    return found["links"] == found["nodes"] and found["inner"] == 0

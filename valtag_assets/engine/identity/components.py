"""Connected components by stars and pruned leaves, set-based: every round halves what is left of a chain.

Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii: Connected Components in MapReduce and Beyond (SoCC 2014). A
large-star links every larger neighbour of a node to the smallest of its neighbourhood, a small-star every smaller
one; when nothing moves, each component is a star around its smallest node. O(log² n) rounds, in practice few.

Between rounds leaves are put aside: whatever has one link belongs where that leads. What is left to do is then the
few long chains, and when nothing is left, the leaves are led home, the last ones first.
"""

import ibis

from valtag_assets.engine.identity.work import Work, united

NODE, ROOT = "node", "root"


def components(work: Work, edges: ibis.Table) -> ibis.Table:
    """(node, root) for every node of the components of ``edges`` (a, b: int64, a ≠ b) but the smallest of each,
    which is the root."""
    links = work.keep("links", _downwards(edges))
    layers = []
    while True:
        layers.append(work.keep("leaves", _leaves(links)))
        links = work.keep("core", links.anti_join(layers[-1], ["a"]))
        if not work.number(links):
            break
        links = work.keep("large", _large_star(links))
        links = work.keep("small", _small_star(links))
    found = layers.pop().rename({NODE: "a", ROOT: "b"})
    while layers:
        found = work.keep("found", _led_home(layers.pop(), found))
    return found


def _leaves(links: ibis.Table) -> ibis.Table:
    """The links of nodes that have no other: a star is all leaves."""
    single = links.group_by("a").aggregate(b=links["b"].min(), n=links.count()).filter(lambda table: table["n"] == 1)
    return single.select("a", "b").anti_join(links.select(a="b"), ["a"])


def _led_home(leaves: ibis.Table, found: ibis.Table) -> ibis.Table:
    """``found`` and the leaves, each with the root of the node it hangs on."""
    above = found.rename({"_node": NODE, "_root": ROOT})
    both = leaves.left_join(above, leaves["b"] == above["_node"])
    return united([found, both.select(node="a", root=ibis.coalesce(both["_root"], both["b"]))])


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

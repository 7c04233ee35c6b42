"""Who belongs together by the rules of identity.yaml, in plain Python: a union-find, row by row and kind by kind."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

Node = tuple[int, str, date | None]  # rank, key, since


@dataclass
class Forest:
    """A union-find whose roots are the smallest of their trees."""

    above: dict[Any, Any] = field(default_factory=dict)

    def root(self, node: Any) -> Any:
        while self.above.get(node, node) != node:
            node = self.above[node]
        return node

    def join(self, nodes: Iterable[Any]) -> None:
        roots = sorted({self.root(node) for node in nodes}, key=order)
        for other in roots[1:]:
            self.above[other] = roots[0]


@dataclass(frozen=True)
class Rules:
    """Of each kind, by rank: its ``limits`` and ``days``; ``apart``: kinds that stay apart, unless by those."""

    limits: Sequence[int | None]
    days: Sequence[int | None]
    apart: Mapping[int, frozenset[int]]


def order(node: Node) -> tuple[int, str, date]:
    return (node[0], node[1], node[2] or date.min)


def with_epochs(rows: Sequence[tuple[date | None, Sequence[tuple[int, str]]]], rules: Rules) -> list[list[Node]]:
    """Every row as the nodes it bears, the strongest first, none twice."""
    used = defaultdict(set)
    for day, keys in rows:
        for key in keys:
            if day is not None and rules.days[key[0]]:
                used[key].add(day)
    begun = {}
    for key, days in used.items():
        sorted_days, most = sorted(days), rules.days[key[0]]
        assert most is not None
        begun[key] = [b for a, b in pairwise(sorted_days) if (b - a).days > most]

    def node(day: date | None, key: tuple[int, str]) -> Node:
        starts = [start for start in begun.get(key, ()) if day is None or start <= day]
        return (*key, max(starts) if starts else None)

    return [list(dict.fromkeys(node(day, key) for key in keys)) for day, keys in rows]


def pieces_of(rows: Sequence[Sequence[Node]], rules: Rules) -> tuple[dict[Node, Node], dict[Node, str]]:
    """The smallest node of every usable node's piece, and why each other node is refused."""
    forest, refused = Forest(), dict[Node, str]()
    everything = {node for row in rows for node in row}
    for rank in range(len(rules.limits)):
        hubs = defaultdict(set)
        for row in rows:
            stronger = [node for node in row if node[0] < rank and node not in refused]
            for node in (node for node in row if node[0] == rank and stronger):
                hubs[node].add(stronger[0])
        limit = rules.limits[rank]
        refused |= {node: "shared" for node, beside in hubs.items() if limit is not None and len(beside) > limit}
        alike = Forest()
        for row in rows:
            if not any(node[0] < rank and node not in refused for node in row):
                alike.join(node for node in row if node[0] == rank and node not in refused)
        clusters = defaultdict(set)
        for node in (node for node in everything if node[0] == rank and node not in refused):
            clusters[alike.root(node)].add(node)
        beside = {name: {hub for node in members for hub in hubs[node]} for name, members in clusters.items()}
        for together in _groups(beside, forest):
            if _holds_two(together, beside, forest, everything - refused.keys(), rank, rules):
                for name in together:
                    if len({forest.root(hub) for hub in beside[name]}) > 1:
                        refused |= dict.fromkeys(clusters.pop(name), "conflict")
        for name, members in clusters.items():
            forest.join([*members, *beside[name]])
    return {node: forest.root(node) for node in everything if node not in refused}, refused


def _groups(beside: Mapping[Node, set[Node]], forest: Forest) -> list[list[Node]]:
    """The clusters that would come into one piece."""
    trial = Forest()
    for name, hubs in beside.items():
        trial.join([name, *(forest.root(hub) for hub in hubs)])
    found = defaultdict(list)
    for name in beside:
        found[trial.root(name)].append(name)
    return list(found.values())


def _holds_two(
    names: Sequence[Node],
    beside: Mapping[Node, set[Node]],
    forest: Forest,
    usable: set[Node],
    rank: int,
    rules: Rules,
) -> bool:
    pieces = {forest.root(hub) for name in names for hub in beside[name]}
    for kind, unless in rules.apart.items():
        if kind >= rank:
            continue
        free = unless | {kind} if rank in unless else frozenset()
        trial = Forest()
        for name in names:
            allowed = [forest.root(hub) for hub in beside[name] if hub[0] in free]
            if allowed:
                trial.join(allowed)
        holding = {forest.root(node) for node in usable if node[0] == kind} & pieces
        if len({trial.root(piece) for piece in holding}) > 1:
            return True
    return False

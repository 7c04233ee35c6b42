"""The nearest change that would turn a rule's answer: the fewest conditions that would have to come out otherwise."""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from valtag_assets.expression.rule import Joined, ResolvedRule

# So many sets of conditions that hang together are tried: about a second.
_TRIED = 20_000


@dataclass(frozen=True)
class Change:
    """The ``leaf``-th condition of a rule, and whether it would have to hold."""

    leaf: int
    to: bool


def nearest_change(
    rule: ResolvedRule, holds: Sequence[bool], costs: Sequence[float], subjects: Sequence[Hashable] | None = None
) -> tuple[Change, ...]:
    """What would have to change for ``rule`` to answer the opposite; of equally few changes the cheapest.

    ``holds`` and ``costs`` are in the order of ``leaves``; a cost says how far a condition is from its opposite,
    from 0 (at once) to 1. Leaves of one of ``subjects`` turn together (None: each by itself); then a change is
    named once, and there is none where no change of a few would do.
    """
    leaves = zip(range(len(holds)), holds, costs, strict=True)
    if subjects is None or len(set(subjects)) == len(holds):
        return _ways(rule, leaves)[not answer(rule, holds)][1]
    first: dict[Hashable, int] = {}
    for number, subject in enumerate(subjects):
        first.setdefault(subject, number)
    for many in range(1, len(first) + 1):
        if math.comb(len(first), many) > _TRIED:
            break
        ways = sorted(combinations(first.items(), many), key=lambda way: sum(costs[number] for _, number in way))
        for way in ways:
            turned = {subject for subject, _ in way}
            changed = [held != (subject in turned) for held, subject in zip(holds, subjects, strict=True)]
            if answer(rule, changed) != answer(rule, holds):
                return tuple(Change(number, not holds[number]) for _, number in way)
    return ()


Way = tuple[float, tuple[Change, ...]]


def joined(rule: Joined, holds: Sequence[bool]) -> bool:
    """What a branch says when its rules say ``holds``."""
    found = sum(holds)
    if rule.how == "none":
        return found == 0
    return found >= {"all": len(holds), "any": 1}.get(rule.how, rule.least)


def answer(rule: ResolvedRule, holds: Sequence[bool]) -> bool:
    """What ``rule`` says when its leaves, in their order, say ``holds``."""
    return _answer(rule, iter(holds))


def _answer(rule: ResolvedRule, holds: Iterator[bool]) -> bool:
    if not isinstance(rule, Joined):
        return next(holds)
    return joined(rule, [_answer(item, holds) for item in rule.rules])


def _ways(rule: ResolvedRule, leaves: Iterator[tuple[int, bool, float]]) -> dict[bool, Way]:
    """The cheapest way for ``rule`` to say yes, and to say no."""
    if not isinstance(rule, Joined):
        number, holds, cost = next(leaves)
        # Fewer changes always win; their sizes only choose among equally many.
        return {holds: (0.0, ()), not holds: (1.0 + cost / 1000, (Change(number, not holds),))}
    below = [_ways(item, leaves) for item in rule.rules]
    least = {"all": len(below), "any": 1, "none": 1}.get(rule.how, rule.least)
    # So many must hold, or so many must not that the others are too few.
    enough = _cheapest([ways[True] for ways in below], least)
    too_few = _cheapest([ways[False] for ways in below], len(below) - least + 1)
    return {True: too_few, False: enough} if rule.how == "none" else {True: enough, False: too_few}


def _cheapest(ways: Sequence[Way], how_many: int) -> Way:
    chosen = sorted(ways, key=lambda way: way[0])[:how_many]
    return sum(cost for cost, _ in chosen), tuple(change for _, changes in chosen for change in changes)

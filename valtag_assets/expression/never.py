"""Rules that can never hold: age > 30 and age < 20, a value outside a tag's domain, did and did_not at once.

Each comparison of a value with a constant narrows what the value may be, along everything that must hold at
once. What is reported is certain; what needs more than that (arithmetic over two tags, say) is not looked for.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.rule import Condition, Did, Joined, ResolvedRule, rule_meaning
from valtag_assets.expression.tree import Call, Literal, Name, Node

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_WORDS = {"at_least": ">=", "at_most": "<=", "exactly": "="}
_OPPOSITE = {">=": "<", "<=": ">", "=": "!="}


@dataclass(frozen=True)
class Range:
    """What a value may still be: between two ends (each as (value, whether it counts)), among some, not among
    others. ``filled``: it can't be empty. ``because`` are the conditions that say so."""

    low: tuple[Any, bool] | None = None
    high: tuple[Any, bool] | None = None
    among: frozenset[Any] | None = None
    others: frozenset[Any] = frozenset()
    filled: bool = False
    empty: bool = False
    because: tuple[str, ...] = ()

    @property
    def impossible(self) -> bool:
        if self.filled and self.empty:
            return True
        if not self.filled:
            return False
        if self.low is not None and self.high is not None:
            if self.low[0] > self.high[0] or (self.low[0] == self.high[0] and not (self.low[1] and self.high[1])):
                return True
            if self.low[0] == self.high[0] and self.low[0] in self.others:
                return True
        return self.among is not None and not any(map(self._fits, self.among - self.others))

    def _fits(self, value: Any) -> bool:
        above = self.low is None or value > self.low[0] or (value == self.low[0] and self.low[1])
        below = self.high is None or value < self.high[0] or (value == self.high[0] and self.high[1])
        return above and below

    def narrowed(self, how: str, value: Any, whole: bool) -> "Range":
        """With one comparison more; ``whole``: the value is a whole number."""
        if how == "!=":
            return replace(self, others=self.others | {value})
        found = replace(self, filled=True)
        if how == "in":
            return replace(found, among=value if self.among is None else self.among & value)
        if whole and how in "<>":
            value, how = (math.floor(value) + 1, ">=") if how == ">" else (math.ceil(value) - 1, "<=")
        end = (value, how in (">=", "<="))
        if how in (">", ">="):
            better = self.low is None or (value, not end[1]) > (self.low[0], not self.low[1])
            return replace(found, low=end) if better else found
        better = self.high is None or (value, end[1]) < (self.high[0], self.high[1])
        return replace(found, high=end) if better else found


Known = Mapping[str, Range]
# What can't be, one sentence each, and whether it is because of a tag's domain alone.
Found = dict[str, bool]


def never_holds(rule: ResolvedRule, domains: Known) -> list[str]:
    """What in ``rule`` can never hold, one sentence each. ``domains`` are the ranges of tags by code."""
    found: Found = {}
    _checked(rule, domains, found)
    return list(found)


def _checked(rule: ResolvedRule, known: Known, found: Found) -> Known | None:
    """``known`` and what ``rule`` adds to it; None if both can't be."""
    if isinstance(rule, Joined) and rule.how == "all":
        now: Known | None = _opposed(rule, known, found)
        for part in rule.rules:
            now = None if now is None else _checked(part, now, found)
        return now
    if isinstance(rule, Joined) and rule.how in ("any", "at_least"):
        below: Found = {}
        possible = sum(_checked(part, known, below) is not None for part in rule.rules)
        enough = possible >= max(rule.least, 1)
        # A part may fail where another does not; but a value no tag can have is a mistake wherever it stands.
        found.update((said, outside) for said, outside in below.items() if outside or not enough)
        return known if enough else None
    if isinstance(rule, Condition):
        return _after(list(comparisons(rule.node)), meaning(rule.node), known, found)
    if isinstance(rule, Did):
        event = rule.event
        how = _OPPOSITE[_WORDS[event.comparison]] if rule.absent else _WORDS[event.comparison]
        key = rule_meaning(Did(replace(event, comparison="at_least", value=1), False))
        start = known if key in known or event.measure == "sum" else {**known, key: Range(low=(0, True))}
        return _after([(key, how, event.value, event.measure != "sum")], rule_meaning(rule), start, found)
    return known


def _opposed(rule: Joined, known: Known, found: Found) -> Known | None:
    """Refuse what must hold and must not hold at once."""
    held = {rule_meaning(part) for part in rule.rules}
    barred = {
        rule_meaning(item)
        for part in rule.rules
        if isinstance(part, Joined) and part.how == "none"
        for item in part.rules
    }
    both = sorted(held & barred)
    found.update({f"'{text}' must hold and must not hold: remove one of the two": False for text in both})
    return None if both else known


def _after(comparisons: list[tuple[str, str, Any, bool]], text: str, known: Known, found: Found) -> Known | None:
    now = dict(known)
    for key, how, value, whole in comparisons:
        before = now.get(key, Range())
        how, value = ("in", frozenset({value})) if how == "=" else (how, value)
        try:
            after = before.narrowed(how, value, whole) if how != "is null" else replace(before, empty=True)
            impossible = after.impossible
        except TypeError:
            continue  # of types that are compared in another way (a timestamp with a day)
        if impossible:
            found[_sentence(key, text, before)] = not before.because
            return None
        now[key] = replace(after, because=(*before.because, text) if text not in before.because else before.because)
    return now


def _sentence(key: str, text: str, before: Range) -> str:
    if before.because == (text,):
        return f"'{text}' never holds: no value is both"
    if before.because:
        others = "' and '".join(before.because)
        return f"'{text}' never holds together with '{others}': change one of them, or join them by any"
    domain = _domain(before)
    hint = f": the domain of {key} is {domain}" if domain else ""
    return f"'{text}' never holds{hint}"


def _domain(known: Range) -> str:
    if known.among is not None:
        return ", ".join(sorted(map(str, known.among)))
    ends = [
        f"at least {float(known.low[0]):.12g}" if known.low else "",
        f"at most {float(known.high[0]):.12g}" if known.high else "",
    ]
    return " and ".join(end for end in ends if end)


def comparisons(node: Node) -> Iterator[tuple[str, str, Any, bool]]:
    """(what, how, constant, whether it is a whole number) for each comparison that must hold if ``node`` does."""
    if isinstance(node, Name):
        yield node.code, "in", frozenset({True}), False
    if not isinstance(node, Call):
        return
    first = node.arguments[0] if node.arguments else node
    whole = first.type is not None and first.type.kind == "integer"
    values = [part.value for part in node.arguments[1:] if isinstance(part, Literal)]
    if node.function == "is null":
        yield meaning(first), "is null", None, False
    elif node.function == "not" and isinstance(first, Name):
        yield first.code, "!=", True, False
    elif node.function == "not" and isinstance(first, Call) and first.function in ("in", "="):
        for part in first.arguments[1:]:
            if isinstance(part, Literal) and part.value is not None:
                yield meaning(first.arguments[0]), "!=", _plain(part.value), False
    elif node.function in _MIRRORED:
        left, right = node.arguments
        if isinstance(right, Literal) and right.value is not None and not isinstance(left, Literal):
            yield meaning(left), node.function, _plain(right.value), whole
        elif isinstance(left, Literal) and left.value is not None and not isinstance(right, Literal):
            kind = right.type is not None and right.type.kind == "integer"
            yield meaning(right), _MIRRORED[node.function], _plain(left.value), kind
    elif node.function == "between" and len(values) == 2 and None not in values:
        yield meaning(first), ">=", _plain(values[0]), whole
        yield meaning(first), "<=", _plain(values[1]), whole
    elif node.function == "in" and len(values) == len(node.arguments) - 1:
        yield meaning(first), "in", frozenset(_plain(value) for value in values if value is not None), whole


def _plain(value: Any) -> Any:
    """Numbers of all types compare with each other; a day is not a point in time."""
    if isinstance(value, datetime):
        return (value,)
    if isinstance(value, float):
        return Decimal(str(value))
    return value if not isinstance(value, date) else value.toordinal()

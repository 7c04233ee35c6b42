"""A rule's names resolved and its expressions typed, with the place of every mistake."""

from collections.abc import Callable
from decimal import Decimal

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolved import ResolvedSource, RuleScope
from valtag_assets.expression.rule import Condition, Did, Event, Joined, Member, Ordering, ResolvedRule, Stage
from valtag_assets.expression.rule_text import read_rule
from valtag_assets.expression.tree import Call, Literal, Node
from valtag_assets.spec import event as spec
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.spec.segment import BRANCHES, Rule
from valtag_assets.spec.types import BOOLEAN

Place = tuple[str | int, ...]
Blame = Callable[[str, Place], None]


class _Fault(ExpressionError):
    """A mistake, and where below the rule it lies."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def resolve_rule(rule: Rule, scope: RuleScope, blame: Blame, place: Place = ()) -> ResolvedRule:
    """``rule`` typed. Mistakes go to ``blame`` with the place of the part at fault; that part then never holds."""
    try:
        return _resolved(rule, scope, blame, place)
    except _Fault as fault:
        blame(str(fault), (*place, *fault.place))
    except ExpressionError as error:
        blame(str(error), place)
    return Condition(Literal(False, BOOLEAN))


def _resolved(rule: Rule, scope: RuleScope, blame: Blame, place: Place) -> ResolvedRule:
    if rule.condition is not None:
        read = read_rule(rule.condition)
        if read.condition is None:
            # The parts of a text have no places of their own in the file.
            return resolve_rule(read, scope, lambda message, _: blame(message, place), place)
        return _split(parse(read.condition, scope.columns, expect=BOOLEAN))
    if rule.kind in BRANCHES:
        how = "at_least" if rule.kind == "of" else rule.kind
        below = [
            resolve_rule(item, scope, blame, (*place, rule.kind, number)) for number, item in enumerate(rule.rules)
        ]
        return Joined(how, tuple(below), rule.at_least or 0)  # type: ignore[arg-type]
    if rule.sequence is not None:
        return _ordering(rule.sequence, scope)
    if rule.in_segment is not None:
        return _member(rule.in_segment, scope.segments, "segment")
    if rule.in_list is not None:
        return _member(rule.in_list, scope.lists, "list")
    event = rule.did or rule.did_not
    assert event is not None
    return Did(_event(event, scope, rule.kind), rule.did is None)


def _split(node: Node) -> ResolvedRule:
    """A condition taken apart where and / or join it: each part can then be looked at by itself."""
    if isinstance(node, Call) and node.function in ("and", "or"):
        parts = tuple(map(_split, node.arguments))
        return Joined("all" if node.function == "and" else "any", parts)
    return Condition(node)


def _member(code: str, known: tuple[str, ...], kind: str) -> Member:
    if code not in known:
        raise _Fault(f"'{code}' is no {kind}{did_you_mean(code, list(known))}", f"in_{kind}")
    return Member(kind, code)  # type: ignore[arg-type]


def _fact(code: str, scope: RuleScope, *place: str | int) -> ResolvedSource:
    if code not in scope.facts:
        raise _Fault(f"'{code}' is no fact{did_you_mean(code, list(scope.facts))}", *place, "fact")
    return scope.sources[code]


def _event(event: spec.Event, scope: RuleScope, kind: str) -> Event:
    source = _fact(event.fact, scope, kind)
    where = _parsed(event.where, source, kind, "where") if event.where is not None else None
    of = None
    if event.of is not None:
        of = _parsed(event.of, source, kind, event.measure, boolean=False)
        if of.type is None or (event.measure == "sum" and not of.type.numeric) or of.type.kind == "list":
            word = "numbers" if event.measure == "sum" else "single values"
            raise _Fault(f"{event.measure} is of {word}; '{event.of}' is a {of.type}", kind, event.measure)
    value = event.value if isinstance(event.value, int) else Decimal(str(event.value))
    return Event(event.fact, event.measure, of, where, event.dates, event.comparison, value)


def _parsed(text: str, source: ResolvedSource, *place: str | int, boolean: bool = True) -> Node:
    try:
        return parse(text, source.scope, expect=BOOLEAN if boolean else None)
    except ExpressionError as error:
        raise _Fault(str(error), *place) from error


def _ordering(sequence: spec.Sequence, scope: RuleScope) -> Ordering:
    stages: list[Stage] = []
    last: ResolvedSource | None = None
    for number, step in enumerate(sequence.steps):
        event, word = step.event, "did" if step.did else "did_not"
        at = ("sequence", "steps", number, word)
        source = _fact(event.fact, scope, *at)
        where = _parsed(event.where, source, *at, "where") if event.where is not None else None
        for own, earlier in event.pairs:
            assert last is not None
            _same_type(source, own, last, earlier, *at)
        stages.append(Stage(event.fact, where, step.did is None, event.gap, event.pairs))
        last = source if step.did else last
    return Ordering(tuple(stages), sequence.dates)


def _same_type(source: ResolvedSource, own: str, last: ResolvedSource, earlier: str, *place: str | int) -> None:
    for name, where in ((own, source), (earlier, last)):
        if name not in where.columns:
            known = did_you_mean(name, list(where.columns))
            raise _Fault(f"same: '{name}' is no field of {where.code}{known}", *place, "same")
    if source.columns[own] != last.columns[earlier]:
        message = (
            f"same: {source.code}.{own} is {source.columns[own]}, and {last.code}.{earlier} is "
            f"{last.columns[earlier]}; give both the same type"
        )
        raise _Fault(message, *place, "same")

"""Rules as text: ``city = '上海' and did_not(orders, within 30d)`` and the YAML tree it stands for.

A rule's own words (``all any none at_least did did_not sequence in_segment in_list``) look like function calls;
what stands between them are expressions, which ``parse`` reads later. ``read_rule`` and ``write_rule`` undo each
other: what one writes, the other reads as the same tree.
"""

import re
import unicodedata
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import date
from typing import Any

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.reading import MAX_NESTING, take_out_literals
from valtag_assets.expression.rule import plain
from valtag_assets.spec.block import validated
from valtag_assets.spec.event import COMPARISONS, PERIODS, Event, Period, StepEvent
from valtag_assets.spec.segment import BRANCHES, Rule

WORDS = ("all", "any", "none", "at_least", "did", "did_not", "sequence", "in_segment", "in_list")
_TOKEN = re.compile(r"[^\W\d]\w*|'\d+'|\d[\w.]*|[(),]|\S")
_BOUND = re.compile(
    r"(?:(sum|distinct)\s*\((.*)\)\s*)?(at least|at most|exactly)\s+(-?\d{1,18}(?:\.\d+)?)(?:\s+times?)?", re.DOTALL
)


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        return self.text.lower()


def read_rule(text: str) -> Rule:
    """The tree of ``text``; its conditions are not yet parsed. ExpressionError says what is wrong, and where."""
    cleaned, _, origin = take_out_literals(text)
    tokens = [_Token(found.group(), *found.span()) for found in _TOKEN.finditer(cleaned)]
    if not any(_opens(tokens, at) for at in range(len(tokens))):
        return Rule(condition=text.strip())
    reader = _Reader(text, [*origin, len(text)], tokens)
    try:
        return reader.whole()
    except RecursionError as error:
        raise ExpressionError("nested too deep: make segments of its parts and use in_segment(…)") from error


def _opens(tokens: Items[_Token], at: int) -> bool:
    """Whether a rule's word and its parenthesis stand at ``at``."""
    return tokens[at].word in WORDS and at + 1 < len(tokens) and tokens[at + 1].text == "("


class _Reader:
    """One pass over the tokens of a text that holds at least one of the rule's own words."""

    def __init__(self, text: str, origin: list[int], tokens: list[_Token]) -> None:
        self._text, self._origin, self._tokens = text, origin, tokens
        self._closers = self._matched()
        self._at = 0
        self._end = len(tokens)

    def whole(self) -> Rule:
        found = self._either()
        if self._at < self._end:
            raise self._error("an and, or or comma is missing before", self._at)
        return found

    # Joined rules

    def _either(self) -> Rule:
        return self._joined("or", "any", self._both)

    def _both(self) -> Rule:
        return self._joined("and", "all", self._negated)

    def _joined(self, word: str, branch: str, below: Any) -> Rule:
        found = [below()]
        while self._word() == word:
            self._at += 1
            found.append(below())
        return found[0] if len(found) == 1 else Rule.model_validate({branch: tuple(found)})

    def _negated(self) -> Rule:
        if self._word() == "not" and self._is_rule(self._at + 1):
            self._at += 1
            return Rule(none=(self._negated(),))
        return self._operand()

    def _operand(self) -> Rule:
        at = self._at
        if at >= self._end:
            raise ExpressionError("the rule ends where a condition is expected", len(self._text))
        if self._tokens[at].text == "(" and self._is_rule(at):
            self._at += 1
            found = self._within(self._closers[at], self._either)
            self._at = self._closers[at] + 1
            return found
        return self._call() if _opens(self._tokens, at) else self._condition()

    def _is_rule(self, at: int) -> bool:
        """Whether a rule's word, or a parenthesis around one that is joined by and / or, starts at ``at``."""
        while at < self._end and self._tokens[at].word == "not":
            at += 1
        if at >= self._end:
            return False
        if self._tokens[at].text != "(":
            return _opens(self._tokens, at)
        inside = range(at + 1, self._closers[at])
        return any(_opens(self._tokens, place) for place in inside)

    def _condition(self) -> Rule:
        """An expression: everything up to the and / or that joins it to its neighbours."""
        first, cases, ranges = self._at, 0, 0
        while self._at < self._end:
            token = self._tokens[self._at]
            if _opens(self._tokens, self._at):
                raise self._error("a condition by itself, joined to others by and, or, not:", self._at)
            if token.text == "(":
                self._refuse_inside(self._at)
                self._at = self._closers[self._at]
            elif token.word == "and" and ranges and not cases:
                ranges -= 1
            elif not cases and token.word in ("and", "or", ",", ")"):
                break
            cases += (token.word == "case") - (token.word == "end" and cases > 0)
            ranges += token.word == "between" and not cases
            self._at += 1
        if self._at == first:
            raise self._error("a condition is expected at", first)
        return Rule(condition=self._slice(first, self._at))

    def _refuse_inside(self, opening: int) -> None:
        for place in range(opening + 1, self._closers[opening]):
            if _opens(self._tokens, place):
                raise self._error("a condition by itself, joined to others by and, or, not:", place)

    # The rule's own words

    def _call(self) -> Rule:
        at = self._at
        word, closing = self._tokens[at].word, self._closers[at + 1]
        parts = self._parts(at + 2, closing)
        if word in BRANCHES:
            data: dict[str, Any] = {word: tuple(self._rule_in(*part) for part in parts)}
        elif word == "at_least":
            count = self._slice(*parts[0])
            if not (count.isdecimal() and len(count) < 10):
                raise self._error("at_least(n, …) begins with how many of the conditions must hold:", parts[0][0])
            data = {"at_least": int(count), "of": tuple(self._rule_in(*part) for part in parts[1:])}
        elif word in ("in_segment", "in_list"):
            data = {word: self._slice(at + 2, closing)}
        elif word == "sequence":
            data = {word: self._sequence(parts)}
        else:
            data = {word: self._event(parts, Event)}
        self._at = closing + 1
        return self._valid(data, at)

    def _rule_in(self, first: int, end: int) -> Rule:
        self._at = first
        return self._within(end, self._either)

    def _within(self, end: int, read: Any) -> Rule:
        outer, self._end = self._end, end
        found: Rule = read()
        if self._at < end:
            raise self._error("an and, or or comma is missing before", self._at)
        self._end = outer
        return found

    def _sequence(self, parts: list[tuple[int, int]]) -> dict[str, Any]:
        steps: list[dict[str, Any]] = []
        data: dict[str, Any] = {}
        for first, end in parts:
            word = self._tokens[first].word
            if word in ("did", "did_not") and _opens(self._tokens, first):
                inner = self._parts(first + 2, self._closers[first + 1])
                steps.append({word: self._event(inner, StepEvent)})
            else:
                data |= self._period(self._plain(first, end), first)
        return {"steps": steps, **data}

    def _event(self, parts: list[tuple[int, int]], kind: type[Event] | type[StepEvent]) -> dict[str, Any]:
        (first, end), *clauses = parts
        data: dict[str, Any] = {"fact": self._slice(first, end)}
        for start, stop in clauses:
            word, text = self._tokens[start].word, self._plain(start, stop)
            if word == "where":
                found: dict[str, Any] = {"where": self._slice(start + 1, stop)}
            elif word == "same" and kind is StepEvent:
                found = {"same": [*data.get("same", ()), self._slice(start + 1, stop)]}
                data.pop("same", None)
            elif word in (*PERIODS, "ever"):
                found = self._period(text, start)
            else:
                found = self._bound(text, start)
            if found.keys() & data.keys():
                raise self._error(f"{word} is said twice:", start)
            data |= found
        return data

    def _period(self, text: str, at: int) -> dict[str, Any]:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if word.lower() == "ever" and not rest:
            return {}
        if word.lower() == "between":
            ends = re.split(r"\s+and\s+", rest, flags=re.IGNORECASE)
            if len(ends) == 2:
                return {"between": tuple(ends)}
        elif word.lower() in PERIODS and rest:
            return {word.lower(): rest}
        raise self._error(
            "write within 30d, before 30d, between 60d and 30d, since 2024-01-31 (or dates), or ever, not", at
        )

    def _bound(self, text: str, at: int) -> dict[str, Any]:
        found = _BOUND.fullmatch(text)
        if found is None:
            known = "at least 3 times, sum(amount) at most 100, distinct(brand) exactly 2, within 30d, where …"
            raise self._error(f"a clause is one of: {known}; not", at)
        measure, of, comparison, number = found.groups()
        value: int | float = float(number) if "." in number else int(number)
        data: dict[str, Any] = {comparison.replace(" ", "_"): value}
        return data if measure is None else {**data, measure: of.strip()}

    # Tokens

    def _parts(self, first: int, end: int) -> list[tuple[int, int]]:
        """The token ranges between the commas; ExpressionError if one of them is empty."""
        found, start, at = [], first, first
        while at < end:
            if self._tokens[at].text == "(":
                at = self._closers[at]
            elif self._tokens[at].text == ",":
                found.append((start, at))
                start = at + 1
            at += 1
        found.append((start, end))
        for start, stop in found:
            if start == stop:
                raise self._error("something is missing before", stop)
        return found

    def _matched(self) -> dict[int, int]:
        """Where each opening parenthesis closes."""
        waiting: list[int] = []
        found: dict[int, int] = {}
        negations = 0
        for at, token in enumerate(self._tokens):
            negations = negations + 1 if token.word == "not" else 0
            if len(waiting) + negations > MAX_NESTING:
                raise self._error(f"nested more than {MAX_NESTING} deep: make segments of its parts:", at)
            if token.text == "(":
                waiting.append(at)
                if len(waiting) > MAX_NESTING:
                    raise self._error(f"nested more than {MAX_NESTING} deep: make segments of its parts:", at)
            elif token.text == ")":
                if not waiting:
                    raise self._error("this closes nothing:", at)
                found[waiting.pop()] = at
        if waiting:
            raise self._error("this is not closed:", waiting[-1])
        return found

    def _word(self) -> str | None:
        return self._tokens[self._at].word if self._at < self._end else None

    def _slice(self, first: int, end: int) -> str:
        """The text as written from token ``first`` to before token ``end``."""
        if first >= end:
            return ""
        start, last = self._tokens[first].start, self._tokens[end - 1]
        # All of a literal's stand-in, and the blank behind it, come from where the literal opens.
        stop = last.end + (last.text[0] == "'")
        return self._text[self._origin[start] : self._origin[stop]].strip()

    def _plain(self, first: int, end: int) -> str:
        """The same, full-width characters and blanks made plain; not where a literal is in it."""
        text = self._slice(first, end)
        literal = any(token.text[0] == "'" for token in self._tokens[first:end])
        return text if literal else " ".join(unicodedata.normalize("NFKC", text).split())

    def _error(self, message: str, at: int) -> ExpressionError:
        if at >= len(self._tokens):
            return ExpressionError(f"{message} the end", len(self._text))
        place = self._origin[self._tokens[at].start]
        return ExpressionError(f"{message} '{self._text[place : place + 30].strip()}'", place)

    def _valid(self, data: dict[str, Any], at: int) -> Rule:
        try:
            return validated(Rule, data)
        except ValueError as error:
            raise ExpressionError(str(error), self._origin[self._tokens[at].start]) from error


def write_rule(rule: Rule) -> str:
    """``rule`` as text that ``read_rule`` reads as an equal tree."""
    kind = rule.kind
    if kind == "condition":
        return str(rule.condition)
    if kind in BRANCHES:
        first = [] if rule.at_least is None else [str(rule.at_least)]
        name = "at_least" if kind == "of" else kind
        return f"{name}({', '.join([*first, *map(write_rule, rule.rules)])})"
    if kind in ("in_segment", "in_list"):
        return f"{kind}({getattr(rule, kind)})"
    if rule.sequence is not None:
        steps = [
            f"{'did' if step.did else 'did_not'}({', '.join(_clauses(step.event))})" for step in rule.sequence.steps
        ]
        return f"sequence({', '.join([*steps, *_period_text(rule.sequence)])})"
    event = rule.did or rule.did_not
    assert event is not None
    return f"{kind}({', '.join([event.fact, *_bound_text(event), *_period_text(event), *_where_text(event)])})"


def _clauses(step: StepEvent) -> list[str]:
    within = [] if step.within is None else [f"within {step.within}"]
    return [step.fact, *within, *(f"same {item}" for item in step.same), *_where_text(step)]


def _where_text(event: Event | StepEvent) -> list[str]:
    return [] if event.where is None else [f"where {event.where}"]


def _bound_text(event: Event) -> list[str]:
    given = next((name for name in COMPARISONS if getattr(event, name) is not None), None)
    if given is None:
        return []
    of = "" if event.of is None else f"{event.measure}({event.of}) "
    return [f"{of}{given.replace('_', ' ')} {plain(event.value)}{' times' if event.measure == 'times' else ''}"]


def _period_text(period: Period) -> list[str]:
    if period.between is not None:
        first, last = period.between
        return [f"between {_end(first)} and {_end(last)}"]
    return [f"{name} {_end(getattr(period, name))}" for name in PERIODS if getattr(period, name) is not None]


def _end(written: str | date) -> str:
    return written.isoformat() if isinstance(written, date) else written


def spelt_out(rule: Rule) -> Rule:
    """``rule`` with every condition that holds a rule's own words replaced by their tree. ExpressionError."""
    if rule.condition is not None:
        return read_rule(rule.condition)
    if rule.kind not in BRANCHES:
        return rule
    return rule.model_copy(update={rule.kind: tuple(map(spelt_out, rule.rules))})


def rule_data(rule: Rule) -> Any:
    """``rule`` as plain data: what a YAML file would say."""
    if rule.condition is not None:
        return rule.condition
    if rule.kind in BRANCHES:
        first = {} if rule.at_least is None else {"at_least": rule.at_least}
        return {**first, rule.kind: [rule_data(item) for item in rule.rules]}
    return _in_order(rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True))


def _in_order(data: Any) -> Any:
    """Plain data with the fact first, as people write it."""
    if isinstance(data, list):
        return [_in_order(item) for item in data]
    if isinstance(data, dict):
        return {key: _in_order(data[key]) for key in sorted(data, key=lambda key: key not in ("fact", "steps"))}
    return data

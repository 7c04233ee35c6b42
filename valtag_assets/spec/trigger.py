"""triggers/*.yaml: what starts an action when a person comes to satisfy a rule (触发式营销)."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from valtag_assets.spec.block import Block, Code, Title
from valtag_assets.spec.effect import Effect
from valtag_assets.spec.segment import Holdout, Rule
from valtag_assets.spec.span import Days, Hours

_MOST = 10**9


class EventStart(Block):
    """Rows of ``fact`` (those with ``where``) that start the action, each person's newest one.

    Rows dated from ``late`` days before the as-of on count, those after the as-of too: what happened a minute
    ago must not wait for the night.
    """

    fact: Code
    where: str | None = None
    late: Days = 1

    @model_validator(mode="before")
    @classmethod
    def _fact_alone(cls, data: Any) -> Any:
        return {"fact": data} if isinstance(data, str) else data


class Start(Block):
    """What makes a person enter; exactly one.

    ``becoming_true``: the rule holds and did not at the as-of before. ``each``: the same, and again after so many
    days for as long as it holds. ``event``: a row of a fact arrives, while the rule (if there is one) holds.
    """

    becoming_true: bool = False
    each: Days | None = None
    event: EventStart | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, data: Any) -> Any:
        return {"becoming_true": True} if data == "becoming_true" else data

    @model_validator(mode="after")
    def _one(self) -> "Start":
        if [self.becoming_true, self.each is not None, self.event is not None].count(True) != 1:
            raise ValueError("write becoming_true, {each: 7d} or {event: {fact: …, where: …}}")
        return self


class Action(Block):
    """One message: ``step`` names it, ``to`` is a destination, ``channel`` how it reaches the person (left out, the
    destination's).

    ``fields`` are values of tags and scores under names of their own, as they were when the person entered; they
    travel beside the destination's fields, which are as they are when the message is sent. ``texts`` are the same
    for everybody. ``wait``: so many days after entering. ``when``: a rule, asked when the step is due; where it does
    not hold, the step is left out and the others go on.
    """

    step: Code
    to: Code
    channel: Code | None = None
    fields: dict[Code, Code] = {}
    texts: dict[Code, str | int] = {}
    wait: Days | None = None
    when: Rule | None = None

    @model_validator(mode="after")
    def _names(self) -> "Action":
        twice = sorted(self.fields.keys() & self.texts.keys())
        if twice:
            raise ValueError(f"'{twice[0]}' is among both fields and texts")
        return self


class Again(Block):
    """Whether somebody who entered may enter again: at most ``most`` times in all, ``cooldown`` after the last time.

    Who comes to satisfy the rule within the cooldown has missed it; with ``latch``, enters when it is over and the
    rule still holds.
    """

    most: int | None = Field(default=None, ge=1, le=_MOST)
    cooldown: Days | None = None
    latch: bool = False

    @model_validator(mode="after")
    def _latch(self) -> "Again":
        if self.latch and self.cooldown is None:
            raise ValueError("latch says what comes after a cooldown; here is none")
        return self


class Rehearsal(Block):
    """Not in earnest: only members of ``list`` are sent to; without a list nobody is."""

    list: Code | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {} if data is True else data


class Budget(Block):
    """At most so many ``messages``, at most so much ``cost`` (in the destinations' currency), ever; who comes behind
    the last one that fits is over it. Who comes first is drawn by lot, the same on every run."""

    messages: int | None = Field(default=None, ge=0, le=_MOST)
    cost: Decimal | None = Field(default=None, ge=0, le=_MOST, decimal_places=4)

    @model_validator(mode="after")
    def _any(self) -> "Budget":
        if self.messages is None and self.cost is None:
            raise ValueError("a budget is of messages, of cost, or both")
        return self


class Trigger(Block):
    """One trigger: when it starts, for whom, and what it does.

    ``when``: a rule as segments have them. ``exclude``: a rule; who satisfies it enters and is left alone.
    ``unless``: a rule; once it holds, steps that still wait are left out (the goal is reached). ``together``: all
    actions are planned for a person or none. ``dwell``: the rule must have held for so many dates first. ``start``
    and ``end``: the first and the last as-of at which anybody enters. ``ttl``: hours after which a message is no
    longer worth sending. ``priority``: the higher number goes first where a cap lets not all through. ``backlog``:
    whether those for whom the rule holds already when the trigger is first evaluated enter. ``effect``: what it is
    judged by; left out, the project's.
    """

    trigger: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    on: Start = Start(becoming_true=True)
    when: Rule | None = None
    exclude: Rule | None = None
    actions: tuple[Action, ...] = Field(min_length=1)
    unless: Rule | None = None
    together: bool = False
    again: Again = Again()
    dwell: Days = 1
    holdout: Holdout | None = None
    effect: Effect | None = None
    start: date | None = None
    end: date | None = None
    test: Rehearsal | None = None
    budget: Budget | None = None
    ttl: Hours = 48
    priority: int = Field(default=0, ge=-_MOST, le=_MOST)
    backlog: Literal["enter", "skip"] = "enter"

    @field_validator("test", mode="before")
    @classmethod
    def _switch(cls, test: Any) -> Any:
        return None if test is False else test

    @model_validator(mode="after")
    def _whole(self) -> "Trigger":
        if self.when is None and self.on.event is None:
            raise ValueError("when: is missing; only a trigger on an event can do without a rule")
        steps = [action.step for action in self.actions]
        twice = next((step for step in steps if steps.count(step) > 1), None)
        if twice is not None:
            raise ValueError(f"two steps are called '{twice}'")
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"start {self.start} lies after end {self.end}")
        if self.on.event is not None and self.dwell > 1:
            raise ValueError("an event does not last: dwell belongs to rules")
        if self.on.event is not None and self.again.latch:
            raise ValueError("an event does not last: latch belongs to rules")
        waits = [action.wait or 0 for action in self.actions]
        if waits != sorted(waits) or waits[0]:
            raise ValueError("steps stand in the order of their wait, the first without one")
        if self.unless is not None and not waits[-1]:
            raise ValueError("unless ends what is still waited for; no step has a wait")
        return self

    @property
    def first_steps(self) -> tuple[Action, ...]:
        """What is done when a person enters."""
        return tuple(action for action in self.actions if action.wait is None)

    @property
    def later_steps(self) -> tuple[Action, ...]:
        """What is done some days after."""
        return tuple(action for action in self.actions if action.wait is not None)

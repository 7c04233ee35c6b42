"""What persons did or did not do, as a segment rule says it: rows of a fact, counted, within some dates."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, field_validator, model_validator

from valtag_assets.spec.block import Block, Code

Measure = Literal["times", "sum", "distinct"]
Comparison = Literal["at_least", "at_most", "exactly"]
# Engines count in 64 bits; amounts have 18 digits before the point.
_LIMIT = 10**18

_DAYS = re.compile(r"([1-9]\d{0,4})d")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_ENDS = {"mtd": "month", "ytd": "year"}
COMPARISONS: tuple[Comparison, ...] = ("at_least", "at_most", "exactly")
PERIODS = ("within", "before", "between", "since")


@dataclass(frozen=True)
class Dates:
    """The local dates that count, seen from the as-of D; both ends are included, None leaves one open.

    ``first``: a date; a number n for the first of the last n dates, D − (n − 1); ``month`` / ``year`` for the
    first of D's. ``last``: a date; a number n for D − n, the date before the last n.
    """

    first: date | int | Literal["month", "year"] | None = None
    last: date | int | None = None


def read_end(written: Any) -> date | int:
    """``2024-01-31`` or ``30d``. ValueError."""
    if isinstance(written, date):
        return written
    text = str(written).strip()
    if found := _DAYS.fullmatch(text):
        return int(found[1])
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is neither days (30d) nor a date (2024-01-31)") from error


def _number(written: Any) -> Any:
    """A plain number; ValueError for what no engine can compare with (also yes and no, .inf, .nan)."""
    if isinstance(written, bool) or not isinstance(written, int | float) or not abs(written) < _LIMIT:
        raise ValueError(f"{str(written)[:40]} is no number of less than 19 digits")
    return written


Number = Annotated[int | float, BeforeValidator(_number)]


class Period(Block):
    """Which dates count: one of ``within``, ``before``, ``between``, ``since``, or none of them for ever.

    within 30d: the last 30 dates, the as-of included (also mtd, ytd). before 30d: more than 30 dates ago, older
    than ``within 30d``. between 60d and 30d, or [60d, 30d]: within 60d and before 30d. With dates: before 2024-01-01
    leaves that day out, between 2024-01-01 and 2024-01-31 has both, since 2024-01-01 has it.
    """

    within: str | None = None
    before: str | date | None = None
    between: tuple[str | date, str | date] | None = None
    since: date | None = None

    @field_validator("before", mode="before")
    @classmethod
    def _plain(cls, written: Any) -> Any:
        """Dates as dates, however they were written, so that equal periods are equal."""
        try:
            return date.fromisoformat(written) if isinstance(written, str) else written
        except ValueError:
            return written.strip()

    @field_validator("between", mode="before")
    @classmethod
    def _two_ends(cls, written: Any) -> Any:
        """A list of two ends, or the words of the text form."""
        ends = _AND.split(written.strip()) if isinstance(written, str) else written
        if not isinstance(ends, list | tuple) or len(ends) != 2:
            raise ValueError("between has two ends: 60d and 30d, or [2024-01-01, 2024-01-31]")
        return [cls._plain(end) for end in ends]

    @model_validator(mode="after")
    def _one_period(self) -> "Period":
        given = [name for name in PERIODS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(PERIODS)}; here: {', '.join(given)}")
        _ = self.dates
        return self

    @property
    def dates(self) -> Dates:
        """The dates meant; ValueError if no date could be in them."""
        if self.within is not None:
            if self.within in _ENDS:
                return Dates(first=_ENDS[self.within])  # type: ignore[arg-type]
            found = _DAYS.fullmatch(self.within)
            if found is None:
                raise ValueError(f"within '{self.within}': write days (30d), mtd or ytd")
            return Dates(first=int(found[1]))
        if self.before is not None:
            end = read_end(self.before)
            if end == date.min:
                raise ValueError(f"before {end}: there is no date before it")
            return Dates(last=end if isinstance(end, int) else date.fromordinal(end.toordinal() - 1))
        if self.between is not None:
            first, last = map(read_end, self.between)
            if isinstance(first, date) and isinstance(last, date) and first > last:
                raise ValueError(f"between {first} and {last}: the first date is the later one")
            if type(first) is type(last) is int and first <= last:
                raise ValueError(f"between {first}d and {last}d holds no date; the larger number comes first")
            return Dates(first, last)
        return Dates(first=self.since)


class Event(Period):
    """Rows of ``fact`` that satisfy ``where``, in some dates, counted: by default at least once.

    ``sum`` / ``distinct`` compare the sum, or the number of distinct values, of an expression over the fact's
    fields instead of the number of rows. A person without rows counts 0, so ``at_most`` holds for them.
    """

    fact: Code
    where: str | None = None
    sum: str | None = None
    distinct: str | None = None
    at_least: Number | None = None
    at_most: Number | None = None
    exactly: Number | None = None

    @model_validator(mode="before")
    @classmethod
    def _fact_alone(cls, data: Any) -> Any:
        return {"fact": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_measure(self) -> "Event":
        if self.sum is not None and self.distinct is not None:
            raise ValueError("give sum or distinct, not both")
        given = [name for name in COMPARISONS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(COMPARISONS)}; here: {', '.join(given)}")
        if self.measure != "times" and not given:
            raise ValueError(f"{self.measure} is compared with a number: add at_least, at_most or exactly")
        if self.measure != "sum":
            if not isinstance(self.value, int) or self.value < 0:
                raise ValueError(f"{self.value} is no number of times: write a whole number, 0 or more")
            if self.comparison == "at_least" and self.value == 0:
                raise ValueError("at least 0 holds for everybody: say at_least 1 or more")
        return self

    @property
    def measure(self) -> Measure:
        return "sum" if self.sum is not None else "distinct" if self.distinct is not None else "times"

    @property
    def of(self) -> str | None:
        return self.sum if self.sum is not None else self.distinct

    @property
    def comparison(self) -> Comparison:
        return next((name for name in COMPARISONS if getattr(self, name) is not None), "at_least")

    @property
    def value(self) -> Number:
        found = getattr(self, self.comparison)
        return 1 if found is None else found


class StepEvent(Block):
    """Rows of ``fact`` after the step before: at most ``within`` days later, equal in the ``same`` fields.

    ``same`` names a field that both facts have, or ``own = earlier`` where their names differ.
    """

    fact: Code
    where: str | None = None
    within: str | None = None
    same: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"fact": data}
        if isinstance(data, dict) and isinstance(data.get("same"), str):
            return {**data, "same": [data["same"]]}
        return data

    @field_validator("within")
    @classmethod
    def _days(cls, within: str | None) -> str | None:
        if within is not None and not _DAYS.fullmatch(within):
            raise ValueError(f"within '{within}': a step comes so many days after the one before, as in 7d")
        return within

    @property
    def gap(self) -> int | None:
        return None if self.within is None else int(self.within[:-1])

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(this step's field, the earlier step's field) of each ``same``."""
        found = [tuple(part.strip() for part in item.split("=")) for item in self.same]
        return tuple((pair[0], pair[-1]) for pair in found)


class Step(Block):
    """One step of a sequence: it happened, or did not happen, after the step before."""

    did: StepEvent | None = None
    did_not: StepEvent | None = None

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if (self.did is None) == (self.did_not is None):
            raise ValueError("a step is either did or did_not")
        return self

    @property
    def event(self) -> StepEvent:
        found = self.did or self.did_not
        assert found is not None
        return found


class Sequence(Period):
    """Steps in their order; the period is that of the first one.

    A step that did not happen is judged when its days are over, from the last step that did happen; without
    ``within`` it has not happened up to the as-of.
    """

    steps: tuple[Step, ...]

    @model_validator(mode="after")
    def _order(self) -> "Sequence":
        if len(self.steps) < 2:
            raise ValueError("a sequence needs at least two steps")
        first = self.steps[0]
        if first.did is None:
            raise ValueError("the first step of a sequence is something that was done")
        if first.did.same or first.did.within:
            raise ValueError("the first step has no step before it: same and within belong to later steps")
        return self

"""The base of every block a catalog file may hold, and the words they share."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    field_validator,
    model_validator,
)

from valtag_assets.spec.types import DataType, parse_type

Spec = TypeVar("Spec", bound="Block")
Layer = Literal["core", "auxiliary", "redundant"]
Access = Literal["public", "internal", "sensitive", "pii"]
Severity = Literal["error", "warn"]

ACCESS_LEVELS: tuple[Access, ...] = ("public", "internal", "sensitive", "pii")

_CODE = re.compile(r"[a-z][a-z0-9_]*")


class Block(BaseModel):
    """A strict, immutable YAML block: an unknown key is a mistake, not an extension."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def validated(model: type[Spec], data: object) -> Spec:
    """``data`` as a ``model``; ValueError tells its first mistake in one line."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in details["loc"])
        said = details["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {said}" if where else said) from error


def check_code(code: str) -> str:
    """The code as written; ValueError for a text that is none."""
    if not _CODE.fullmatch(code) or len(code) > 60:
        raise ValueError(
            f"'{code}' is no code: codes are lower-case ASCII letters, digits and _, start with a letter "
            "and have at most 60 characters; put the Chinese name in title.zh"
        )
    return code


def _read_type(value: Any) -> DataType:
    if isinstance(value, DataType):
        return value
    if not isinstance(value, str):
        raise ValueError("a type is written as text, as in decimal(18,2)")
    return parse_type(value)


Code = Annotated[str, AfterValidator(check_code)]
Type = Annotated[DataType, BeforeValidator(_read_type, json_schema_input_type=str)]


def check_time(text: str) -> str:
    """A local time of day, as in 06:00."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f"'{text}' is no time of day; write it as \"06:00\", 00:00 to 23:59")
    return text


class Title(Block):
    """The name people read, in both languages."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} · {self.en}"


class Starting(Block):
    """A block that begins somewhere, written ``from: 5000``: its subclasses hold that as ``lowest``, for ``from`` is
    no name a field may have. Its own name is no key of a file."""

    @model_validator(mode="before")
    @classmethod
    def _from(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not data.keys() & {"from", "lowest"}:
            return data
        if type(data) is not dict and "lowest" in data:
            raise ValueError("unknown key 'lowest'; did you mean 'from'?")
        return {"lowest" if key == "from" else key: value for key, value in data.items()}


class Refresh(Block):
    """How fresh a category has to be, and what recomputes it.

    ``daily``: recomputed each day for the day before, published by ``deadline`` (local time, HH:MM).
    ``on_change``: recomputed when its inputs change. ``on_demand``: only when somebody asks; it shows as
    stale in the meantime. ``max_age`` is the age of the *data*, in days, above which its readers are warned.
    """

    schedule: Literal["daily", "on_change", "on_demand"] = "daily"
    deadline: str = "06:00"
    max_age: int | None = None

    @field_validator("deadline")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        return check_time(text)

    @property
    def hour_minute(self) -> tuple[int, int]:
        hour, minute = self.deadline.split(":")
        return int(hour), int(minute)


class Check(Block):
    """One expectation on a column. Exactly one rule beside ``severity``.

    coverage: least share of non-null values. unique: no value twice. matches: regular expression.
    mean_change: largest relative change of the mean against the previous snapshot.
    stability: largest population stability index against the previous snapshot (0.1 small, 0.25 large;
    Siddiqi, Credit Risk Scorecards, 2006).
    """

    coverage: float | None = None
    unique: bool | None = None
    matches: str | None = None
    mean_change: float | None = None
    stability: float | None = None
    severity: Severity = "error"

    @property
    def rule(self) -> str:
        return next(name for name in CHECK_RULES if getattr(self, name) is not None)

    def model_post_init(self, _: Any) -> None:
        given = [name for name in CHECK_RULES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a check has exactly one of {', '.join(CHECK_RULES)}; here: {given or 'none'}")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except re.error as error:
                raise ValueError(f"matches '{self.matches}' is no regular expression: {error}") from error


CHECK_RULES = ("coverage", "unique", "matches", "mean_change", "stability")

"""What the service is asked and what it answers, as OpenAPI documents it.

Decimals are texts, so that no reader rounds them; integers and floats are numbers; dates and times are ISO 8601;
lists are arrays; nothing is null. A masked value is the text ``***`` and its code stands in ``masked``.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from valtag_assets.engine.lookup import Layout

MOST_PERSONS = 1000
MOST_RECEIPTS = 1000
LONGEST_ID = 200
MOST_TAGS = 500
LONGEST_TAGS = 4000
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

PersonText = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
DateText = Annotated[str, StringConstraints(pattern=DATE), Field(json_schema_extra={"format": "date"})]
Values = dict[str, Any]


class Title(BaseModel):
    zh: str
    en: str


class Where(BaseModel):
    """From which snapshot values come: (as-of, known-at), and the latest event they rest on (local time)."""

    as_of: str | None
    known_at: str
    data_until: str | None
    snapshot: str


class From(Where):
    table: str


class _Shared(BaseModel):
    as_of: str = Field(description="The local date at whose end the values hold.")
    masked: list[str] = Field(description="What the key's role may not see: tags, score columns, segments/<code>.")
    held: dict[str, From | None] = Field(
        description="Tags whose newest values failed a check: where the good ones shown come from; null: none."
    )
    missing: list[str] = Field(description="What was never published as the catalog has it now.")


class Known(BaseModel):
    """What is known of a person."""

    person_id: str
    tags: Values
    scores: Values
    segments: list[str] | None = Field(None, description="Left out where tags= asks for something else.")
    holdouts: list[str] | None = Field(None, description="Segments the person is held out of: not to be acted on.")
    asked: str | None = Field(None, description="What was asked for, of several, where it is not the person's id.")


class Person(_Shared, Known):
    """A person, and where the values come from, by table."""

    origins: dict[str, Where]


class Persons(_Shared):
    """Several persons, in the order asked; ``unknown`` are those that are no person."""

    persons: list[Known]
    unknown: list[str]
    origins: dict[str, Where]


class Asked(BaseModel):
    """Which persons, and of them what."""

    model_config = ConfigDict(extra="forbid")

    persons: Annotated[list[PersonText], Field(min_length=1, max_length=MOST_PERSONS)]
    tags: Annotated[list[Code], Field(min_length=1, max_length=MOST_TAGS)] | None = None
    as_of: DateText | None = None


class Membership(Where):
    code: str
    title: Title
    in_: bool = Field(alias="in")
    holdout: bool


class Memberships(BaseModel):
    person_id: str
    as_of: str
    segments: list[Membership]
    masked: list[str]
    held: dict[str, From | None]
    missing: list[str]


class InSegment(Where):
    """Whether a person is in a segment. Somebody held out of it is not in."""

    person_id: str
    segment: str
    title: Title
    in_: bool = Field(alias="in")
    holdout: bool


class Content(BaseModel):
    code: str
    title: Title


class Variant(BaseModel):
    """The content for a person: ``rule`` is the number of the rule that decided, from 1; null: the default."""

    person_id: str
    as_of: str
    placement: str
    title: Title
    variant: Content
    rule: int | None
    when: str | None = Field(description="The rule as written; null for the default, or if the role may not know it.")
    held: dict[str, From | None] = Field(description="Held tags the rules read: their last good values decided.")
    missing: list[str]


class TagEntry(BaseModel):
    code: str
    title: Title
    category: str | None
    score: str | None
    type: str
    unit: str | None
    meaning: str | None
    access: str
    masked: bool


class Dictionary(BaseModel):
    as_of: str
    tags: list[TagEntry]


class TableState(BaseModel):
    table: str
    state: str
    as_of: str | None
    known_at: str | None
    data_until: str | None
    data_age_days: int | None
    held: list[str]
    reason: str | None


class Health(BaseModel):
    """``behind``: something newer is published, and its store is not made yet. Without a key there are no
    tables; a key of some brands is told neither tables nor how many persons there are."""

    ready: bool
    catalog: str
    as_of: str
    persons: int | None
    behind: bool
    trouble: str | None
    tables: list[TableState] | None = None


class Receipt(BaseModel):
    """What came back about a message; an unsubscribe may name a person and a channel instead of the message."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field("", description="The idempotency key the message was sent with.")
    state: str = Field(description="delivered, opened, clicked, converted, unsubscribed, subscribed, bounced.")
    at: str = Field(description="The instant it happened, with its zone: 2024-01-31T08:00:00+08:00.")
    person_id: str = ""
    channel: str = Field("", description="A channel of project.yaml, or * for all.")


class Told(BaseModel):
    """Receipts, kept all of them or none."""

    model_config = ConfigDict(extra="forbid")

    receipts: list[Receipt] = Field(min_length=1, max_length=MOST_RECEIPTS)


class Kept(BaseModel):
    kept: int


class Error(BaseModel):
    error: str


def complete(document: dict[str, Any], layout: Layout, free: Collection[str]) -> None:
    """Put into the OpenAPI ``document`` what the catalog knows: the codes there are; and that a bearer key is needed,
    but at the ``free`` addresses."""
    known = {"code": layout.segments, "placement": layout.placements}
    document.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["security"] = [{"key": []}, {}] if path in free else [{"key": []}]
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                if known.get(name):
                    parameter["schema"]["enum"] = list(known[name])
                if name == "tags":
                    parameter |= {"style": "form", "explode": False, "schema": _codes(layout.columns)}
    document["components"]["schemas"]["Asked"]["properties"]["tags"] = {
        "anyOf": [_codes(layout.columns), {"type": "null"}],
    }


def _codes(columns: Sequence[str]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": MOST_TAGS, "items": {"type": "string", "enum": list(columns)}}

"""project.yaml: what holds for the whole catalog."""

import re
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from valtag_assets.spec.block import Access, Block, Code, Refresh, Title, check_time
from valtag_assets.spec.effect import Effect
from valtag_assets.spec.engines import Engines
from valtag_assets.spec.insight import Insight

DEFAULT_MISSING = ("", "NA", "N/A", "NULL", "null", "None", "nan", "NaN", "-", "无", "未知", "空")


class Persons(Block):
    """Who counts as a person: the keys found in these sources.

    Left out, it is every master table; a catalog without a master takes its facts.
    """

    sources: tuple[Code, ...] = ()
    title: Title = Title(zh="会员", en="Person")
    access: Access = "internal"


class Recheck(Block):
    """The nightly check that incremental equals full: how many persons are recomputed, drawn by which seed."""

    persons: int = Field(default=200, ge=1)
    seed: int = 7


class Retention(Block):
    """What `valtag vacuum` leaves of history.

    The snapshot served for an as-of stays for ``days`` as-ofs, counted back from the newest there is; of older ones
    (``month_ends``) the last as-of of each month stays for ever. Whatever was published or replaced in the last
    ``replaced_days`` stays, too, and everything that a staying snapshot was made from.
    """

    days: int = Field(default=400, ge=1, description="As-ofs of so many days stay, counted from the newest one.")
    month_ends: bool = Field(default=True, description="Of older as-ofs, the last of each month stays for ever.")
    replaced_days: int = Field(
        default=30, ge=1, description="What a later snapshot of the same as-of replaced stays for so many days."
    )


class Exclusions(Block):
    """Who is in no audience: members of these lists and segments (opted out, staff, complaints open).

    They apply to every segment but those named here and the segments these are made of.
    """

    segments: tuple[Code, ...] = ()
    lists: tuple[Code, ...] = ()


class Quiet(Block):
    """Local times between which nobody is sent anything; ``from`` 21:00 ``to`` 09:00 goes over midnight."""

    since: str = Field(alias="from")
    to: str

    @field_validator("since", "to")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        return check_time(text)

    @model_validator(mode="after")
    def _some_time(self) -> "Quiet":
        if self.since == self.to:
            raise ValueError(
                f"from {self.since} to {self.to} is no time at all; to stop a channel, see valtag trigger"
            )
        return self


class Channel(Block):
    """A way to reach a person; ``reachable`` is the condition over tags and scores under which it is open.

    ``consent``: the condition under which the person agreed to it; left out, no agreement is needed. ``suppressed``:
    lists whose members it must not reach. ``quiet``: hours of the person's day in which messages wait.
    """

    code: Code
    title: Title
    reachable: str
    consent: str | None = None
    suppressed: tuple[Code, ...] = ()
    quiet: Quiet | None = None


class MessageCap(Block):
    """At most so many messages to one person within so many days, over all triggers and syncs: of one ``channel``,
    or of all of them."""

    at_most: int = Field(ge=0, le=10**6)
    within: str
    channel: Code | None = None

    @field_validator("within")
    @classmethod
    def _days(cls, text: str) -> str:
        if not re.fullmatch(r"[1-9]\d{0,3}d", text):
            raise ValueError(f"within '{text}': write so many days as 7d")
        return text

    @property
    def days(self) -> int:
        return int(self.within[:-1])


class GlobalHoldout(Block):
    """A share of all persons that no trigger ever sends to, drawn by ``seed``: the same persons every day."""

    share: float = Field(gt=0, lt=1)
    seed: int


class Contact(Block):
    """What holds for every message to a person: ``caps`` (疲劳度), the tag with the person's time ``zone`` (an IANA
    name; who has none lives in the project's), the ``holdout`` over all triggers."""

    caps: tuple[MessageCap, ...] = ()
    zone: Code | None = None
    holdout: GlobalHoldout | None = None


class Project(Block):
    """project.yaml. ``start`` is the first as-of that may be asked for."""

    name: Code
    title: Title
    timezone: str = "Asia/Shanghai"
    currency: str = "CNY"
    start: date
    owner: str = "team:data"
    persons: Persons = Persons()
    refresh: Refresh = Refresh()
    engine: Engines = Engines()
    recheck: Recheck = Recheck()
    retention: Retention = Retention()
    exclusions: Exclusions = Exclusions()
    channels: tuple[Channel, ...] = ()
    contact: Contact = Contact()
    effect: Effect | None = Field(default=None, description="What triggers are judged by that say nothing else.")
    insight: Insight = Insight()
    missing: tuple[str, ...] = DEFAULT_MISSING
    code_tables: dict[str, dict[str, str]] = Field(
        default={},
        description="Code tables that fields share (code_table): code → spellings, or spelling → code.",
    )
    day_complete_after: str = Field(
        default="22:00",
        description="The last day seen counts as complete when its latest event is at or after this local time.",
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"unknown time zone '{zone}'; use an IANA name such as Asia/Shanghai or UTC")
        return zone

    @field_validator("owner")
    @classmethod
    def _owner(cls, owner: str) -> str:
        return check_owner(owner)

    @field_validator("day_complete_after")
    @classmethod
    def _time_of_day(cls, text: str) -> str:
        return check_time(text)

    @field_validator("missing", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [str(item) for item in value] if isinstance(value, list) else value

    @field_validator("code_tables", mode="before")
    @classmethod
    def _text_tables(cls, tables: Any) -> Any:
        if not isinstance(tables, dict):
            return tables
        return {name: as_texts(table) for name, table in tables.items()}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def as_texts(table: Any) -> Any:
    """A code table as {spelling: code}, all text however YAML read them.

    Written either way: ``{M: male, 男: male}``, or by code with its spellings, ``{male: [M, 男]}``, where the
    code itself is a spelling too.
    """
    if not isinstance(table, dict):
        return table
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, list):
            found |= {str(spelling): str(key) for spelling in (key, *value)}
        else:
            found[str(key)] = str(value)
    return found


def check_owner(owner: str) -> str:
    """An owner is an e-mail address or ``team:name``, as the Dagster UI shows it."""
    if owner.startswith("team:") and len(owner) > 5:
        return owner
    if "@" in owner:
        return owner
    raise ValueError(f"owner '{owner}' is neither an e-mail address nor team:name")

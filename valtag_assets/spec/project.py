"""project.yaml: what holds for the whole catalog; access.yaml: who may see what."""

import re
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from valtag_assets.spec.block import Access, Block, Code, Refresh, Title, check_time

_MASTER = re.compile(r"local(\[(\*|\d+)\])?|(spark|sc)://\S+|yarn|k8s://\S+")
_TABLE = re.compile(r"(clean|identity|tags|scores|segments)/(\*|[a-z][a-z0-9_]*)")

DEFAULT_MISSING = ("", "NA", "N/A", "NULL", "null", "None", "nan", "NaN", "-", "无", "未知", "空")


class Persons(Block):
    """Who counts as a person: the keys found in these sources.

    Left out, it is every master table; a catalog without a master takes its facts.
    """

    sources: tuple[Code, ...] = ()
    title: Title = Title(zh="会员", en="Person")
    access: Access = "internal"


Engine = Literal["duckdb", "spark"]


class Engines(Block):
    """What computes the tables. Written as one word (``engine: spark``) it is ``default``.

    ``tables`` name the engine of some tables, by key (``clean/orders``) or stage (``clean/*``); snapshots are
    the same files whoever writes them. ``master`` is where Spark runs: ``local[*]``, ``spark://host:7077``, or
    Spark Connect, ``sc://host:15002``. ``settings`` are Spark's own (``spark.executor.memory``).
    """

    default: Engine = "duckdb"
    tables: dict[str, Engine] = {}
    master: str = "local[*]"
    settings: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, data: Any) -> Any:
        return {"default": data} if isinstance(data, str) else data

    @field_validator("master")
    @classmethod
    def _master(cls, master: str) -> str:
        return check_master(master)

    @field_validator("tables")
    @classmethod
    def _tables(cls, tables: dict[str, Engine]) -> dict[str, Engine]:
        for table in tables:
            if not _TABLE.fullmatch(table):
                raise ValueError(f"'{table}' is no table; write one as clean/orders, or a whole stage as clean/*")
        return tables

    @field_validator("settings", mode="before")
    @classmethod
    def _texts(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        # YAML's true is Spark's "true".
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()
        }

    @property
    def used(self) -> frozenset[Engine]:
        """The engines some table is computed on."""
        return frozenset({self.default, *self.tables.values()})

    def of(self, table: str) -> Engine:
        """The engine that computes ``table``: by its own key, else its stage, else the default."""
        stage = f"{table.partition('/')[0]}/*"
        return self.tables.get(table, self.tables.get(stage, self.default))


def check_master(master: str) -> str:
    """Where Spark runs, as Spark writes it."""
    if not _MASTER.fullmatch(master):
        raise ValueError(
            f"'{master}' is no place for Spark; write local[*], local[4], spark://host:7077 or sc://host:15002"
        )
    return master


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


class AccessRules(Block):
    """access.yaml: the highest level of personal data each role may read; others see it masked."""

    roles: dict[str, Literal["public", "internal", "sensitive", "pii"]] = {"analyst": "internal"}
    default_role: str = "analyst"

    def model_post_init(self, _: Any) -> None:
        if self.default_role not in self.roles:
            raise ValueError(f"default_role '{self.default_role}' is not among roles {sorted(self.roles)}")

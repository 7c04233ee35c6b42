"""destinations/*.yaml: where audiences and messages go (触达通道): gateways, CRM systems, tables, files."""

import re
from ipaddress import ip_address
from pathlib import PurePath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from valtag_assets.spec.block import Block, Code, Title

PERSON = "person_id"
# What a template and a receiver's table may name beside the fields.
ABOUT = (PERSON, "message_key", "operation", "origin", "step", "as_of", "version")
MODES = ("mirror", "upsert", "append")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
ROWS = "rows"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_MOST_ROWS = {"http": 1, "postgres": 5_000, "redis": 5_000, "file": 100_000, "database": 50_000}


def _check_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"'{name}' is no name of an environment variable; write as CRM_TOKEN")
    return name


Variable = Annotated[str, AfterValidator(_check_variable)]
"""The name of an environment variable; a secret itself is never written in a catalog."""


class Hmac(Block):
    """HMAC-SHA256 of the value's text, as 64 hexadecimal digits; ``hmac`` names the variable that holds the key."""

    hmac: Variable


class Travelling(Block):
    """What travels under a field's name: a tag, score column or segment (true for its members), masked or not.

    ``last4``: the last four characters. ``drop``: nothing.
    """

    of: Code
    mask: Literal["last4", "drop"] | Hmac | None = None


def read_fields(fields: Any) -> Any:
    """Fields in full, from the short forms: a list of codes, or name: code."""
    if isinstance(fields, list):
        return {item: {"of": item} for item in fields if isinstance(item, str)} or fields
    if isinstance(fields, dict):
        return {name: {"of": item} if isinstance(item, str) else item for name, item in fields.items()}
    return fields


def check_names(fields: dict[str, Travelling]) -> dict[str, Travelling]:
    """Refuse fields that would hide what travels anyway."""
    for name in fields:
        if name in (*ABOUT, ROWS):
            raise ValueError(f"a field can't be called '{name}': that travels anyway")
    return fields


class Auth(Block):
    """Who we are, for the receiver. Exactly one; the secrets are in the environment variables named."""

    bearer: Variable | None = None
    user: Variable | None = None
    password: Variable | None = None
    header: str | None = None
    env: Variable | None = None

    @model_validator(mode="after")
    def _one(self) -> "Auth":
        given = {name for name in ("bearer", "user", "password", "header", "env") if getattr(self, name) is not None}
        if given not in ({"bearer"}, {"user", "password"}, {"header", "env"}):
            raise ValueError("auth is bearer: VARIABLE, or user and password: VARIABLE, or header: Name with env")
        if self.header is not None and not _HEADER.fullmatch(self.header):
            raise ValueError(f"'{self.header}' is no name of a header")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it reads."""
        return tuple(name for name in (self.bearer, self.user, self.password, self.env) if name is not None)


class Answer(Block):
    """Where a receiver's JSON answer says what came of a message; left out, the HTTP status decides alone.

    ``rows``: the dotted path of the list of outcomes of a batch, in its order. ``code``, ``message``, ``reference``:
    dotted paths, in an outcome of ``rows`` or in the whole answer. Of the codes, ``ok`` mean done, ``retry`` not now,
    ``pause`` that the receiver wants nothing for a while, ``halt`` that we are set up wrong; any other, rejected.
    """

    rows: str | None = None
    code: str | None = None
    message: str | None = None
    reference: str | None = None
    ok: tuple[str, ...] = ()
    retry: tuple[str, ...] = ()
    pause: tuple[str, ...] = ()
    halt: tuple[str, ...] = ()

    @field_validator("ok", "retry", "pause", "halt", mode="before")
    @classmethod
    def _texts(cls, codes: Any) -> Any:
        many = codes if isinstance(codes, list | tuple) else [codes]
        return [str(code).lower() if isinstance(code, bool) else str(code) for code in many]

    @model_validator(mode="after")
    def _coded(self) -> "Answer":
        if (self.code is None) == bool(self.ok):
            raise ValueError("code says where the answer's code is, ok which codes mean done: both or neither")
        if self.rows is not None and self.code is None:
            raise ValueError("rows are outcomes of single messages: code says where each has its code")
        return self


class Destination(Block):
    """One receiver. ``kind`` says how it is reached; the keys of the other kinds are refused.

    mirror: members are added, changed and removed. upsert: never removed. append: each new or changed member is one
    more row. ``idempotent: false``: it may act twice on one message, so what is uncertain is never sent again by
    itself. ``rate``: messages a second. ``cost``: of one message, in the project's currency.
    """

    destination: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    kind: Literal["http", "postgres", "redis", "file", "database"]
    enabled: bool = True
    channel: Code | None = None
    access: str | None = Field(default=None, description="The role of access.yaml that the receiver has.")
    purpose: str | None = Field(default=None, description="What the receiver uses it for: a purpose of access.yaml.")
    mode: Literal["mirror", "upsert", "append"] = "mirror"
    idempotent: bool = True
    fields: dict[Code, Travelling] = {}
    rate: float | None = Field(default=None, gt=0)
    concurrency: int = Field(default=8, ge=1, le=256)
    batch: int | None = Field(default=None, ge=1, le=1_000_000)
    attempts: int = Field(default=10, ge=1, le=1000)
    cost: float = Field(default=0, ge=0)
    max_reject_share: float = Field(default=0.05, ge=0, le=1)
    # http
    url: str | None = None
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str] = {}
    auth: Auth | None = None
    allow: tuple[str, ...] = Field(default=(), description="Hosts that may be asked; left out, that of the url.")
    private: bool = Field(default=False, description="Whether the hosts may lie in a private network.")
    body: Any = None
    envelope: Any = None
    key_header: str = "Idempotency-Key"
    answer: Answer = Answer()
    timeout: float = Field(default=10, gt=0, le=300)
    # postgres, redis
    url_env: Variable | None = None
    # postgres, database
    table: str | None = None
    # redis
    prefix: str | None = None
    # file, database
    path: str | None = None
    format: Literal["csv", "parquet", "jsonl"] | None = None

    @field_validator("fields", mode="before")
    @classmethod
    def _short(cls, fields: Any) -> Any:
        return read_fields(fields)

    @field_validator("fields")
    @classmethod
    def _named(cls, fields: dict[str, Travelling]) -> dict[str, Travelling]:
        return check_names(fields)

    @field_validator("key_header")
    @classmethod
    def _header_name(cls, name: str) -> str:
        if not _HEADER.fullmatch(name):
            raise ValueError(f"'{name}' is no name of a header")
        return name

    @field_validator("headers")
    @classmethod
    def _plain_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or not value.isprintable():
                raise ValueError(f"header '{name}' can't be sent")
            if name.lower() in ("authorization", "cookie"):
                raise ValueError("write auth: the secret belongs in an environment variable")
        return headers

    @model_validator(mode="after")
    def _of_its_kind(self) -> "Destination":
        needed = _KEYS[self.kind]
        lacking = [name for name in needed if getattr(self, name) is None]
        if lacking:
            raise ValueError(f"a destination of kind {self.kind} needs {', '.join(lacking)}")
        own = {*needed, *_OPTIONAL[self.kind]}
        every = {name for names in (*_KEYS.values(), *_OPTIONAL.values()) for name in names}
        strange = sorted((every - own) & self.model_fields_set)
        if strange:
            raise ValueError(f"{', '.join(strange)}: not for a destination of kind {self.kind}")
        if not self.idempotent and self.kind != "http":
            raise ValueError(f"a {self.kind} destination is idempotent by the way it is written to")
        return self

    @model_validator(mode="after")
    def _reachable(self) -> "Destination":
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.username or parts.password:
                raise ValueError("url holds a user or password: write auth, with the names of environment variables")
            if not parts.hostname or parts.scheme not in ("http", "https"):
                raise ValueError(f"url '{self.url}' is not https://host/…")
            if parts.scheme == "http" and not is_loopback(parts.hostname):
                raise ValueError("url must be https: http is for this machine only (127.0.0.1)")
            if parts.hostname not in self.hosts:
                raise ValueError(f"url's host '{parts.hostname}' is not among allow")
            if is_inside(parts.hostname) and not (self.private or is_loopback(parts.hostname)):
                raise ValueError(f"url's host '{parts.hostname}' is in a private network: private: true allows it")
        return self

    @model_validator(mode="after")
    def _enveloped(self) -> "Destination":
        if self.kind == "http" and self.envelope is None and self.rows_at_once > 1:
            raise ValueError("batch above 1 needs envelope: the request's body, with {rows} where the messages go")
        if self.envelope is not None and placeholders(self.envelope) != {ROWS}:
            raise ValueError("envelope names {rows} where the messages go, and nothing else")
        batched = self.kind == "http" and self.rows_at_once > 1
        if batched and self.idempotent and "message_key" not in placeholders(self.body):
            raise ValueError("of a batch each message needs its own key: put {message_key} into body")
        if not self.idempotent and self.method == "PUT":
            raise ValueError("PUT may be repeated by whoever carries it: a receiver that may act twice needs POST")
        if self.kind == "redis" and self.mode == "append":
            raise ValueError("Redis holds what is, not what was: mode is mirror or upsert")
        if self.path is not None and ".." in PurePath(self.path.replace("\\", "/")).parts:
            raise ValueError(f"path '{self.path}' leads out of the folder of deliveries: leave .. out")
        if self.path is not None and self.kind == "database" and not self.path.endswith((".duckdb", ".sqlite")):
            raise ValueError(f"path '{self.path}' ends with neither .duckdb nor .sqlite")
        return self

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that may be asked."""
        return self.allow or ((urlsplit(self.url).hostname or "",) if self.url else ())

    @property
    def rows_at_once(self) -> int:
        """How many messages are handed over in one go."""
        return self.batch or _MOST_ROWS[self.kind]

    @property
    def requests_at_once(self) -> int:
        """How many requests may be under way. What keeps a table takes one change after the other."""
        return self.concurrency if self.kind == "http" else 1

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable the destination reads."""
        masks = [item.mask.hmac for item in self.fields.values() if isinstance(item.mask, Hmac)]
        own = (self.url_env,) if self.url_env else ()
        return (*own, *(self.auth.variables if self.auth else ()), *masks)


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, written as an address or as localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_inside(host: str) -> bool:
    """Whether ``host`` is written as an address inside a private network."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False


def placeholders(template: Any) -> set[str]:
    """The names in ``{}`` anywhere in a template."""
    if isinstance(template, str):
        return set(PLACEHOLDER.findall(template))
    if isinstance(template, dict):
        return set().union(*(placeholders(item) for item in template.values()))
    if isinstance(template, list):
        return set().union(*map(placeholders, template))
    return set()


_KEYS = {
    "http": ("url", "body"),
    "postgres": ("url_env", "table"),
    "redis": ("url_env", "prefix"),
    "file": ("path", "format"),
    "database": ("path", "table"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "http": ("method", "headers", "auth", "allow", "private", "envelope", "key_header", "answer", "timeout"),
    "postgres": (),
    "redis": (),
    "file": (),
    "database": (),
}

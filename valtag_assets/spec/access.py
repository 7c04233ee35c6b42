"""access.yaml: who may see what, at which doors, for which purpose, of which brands, and what masks leave."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from valtag_assets.spec.block import ACCESS_LEVELS, Access, Block, Code, Title
from valtag_assets.spec.destination import Variable

Door = Literal["select", "preview", "show", "serve", "deliver", "export", "report", "explain", "erase"]
MaskName = Literal["stars", "last4", "hmac", "drop"]

DOORS: tuple[Door, ...] = get_args(Door)
ALL = "all"


def _read_names(value: Any) -> Any:
    return (ALL,) if value == ALL else value


Names = Annotated[
    tuple[str, ...], BeforeValidator(_read_names, json_schema_input_type=Literal["all"] | tuple[str, ...])
]
"""Names of the catalog, or the word ``all``."""
Doors = Annotated[
    tuple[Literal[Door, "all"], ...],
    BeforeValidator(_read_names, json_schema_input_type=Literal["all"] | tuple[Door, ...]),
]


def names(rights: Collection[str], name: str) -> bool:
    """Whether a list of rights names ``name``."""
    return ALL in rights or name in rights


class TagRights(Block):
    """Single tags, beside the categories: ``allow`` adds to these, ``deny`` takes away and has the last word."""

    allow: tuple[Code, ...] = ()
    deny: tuple[Code, ...] = ()


class Role(Block):
    """What a role may do. What it does not name, it may not.

    ``level``: the highest level it reads. ``may``: the doors it goes through. ``categories``, ``tags``: the tags it
    reads; scores and segments where it reads all that they are made of. ``sources``: the clean tables it reads.
    ``destinations``: where it sends. ``purposes``, ``brands``: they count where access.yaml declares any.
    """

    level: Access
    may: Doors = ()
    categories: Names = ()
    tags: TagRights = TagRights()
    sources: Names = ()
    destinations: Names = ()
    purposes: Names = ()
    brands: Names = ()

    def reads_tag(self, code: str, category: str | None) -> bool:
        """Whether it reads the tag ``code`` of that category (None: of none that is known)."""
        if code in self.tags.deny:
            return False
        return (
            code in self.tags.allow
            or ALL in self.categories
            or (category is not None and category in self.categories)
        )


def _read_role(value: Any) -> Any:
    """The short form, a level alone: whatever is up to that level, at every door."""
    if not isinstance(value, str):
        return value
    every = ("may", "categories", "sources", "destinations", "purposes", "brands")
    return {"level": value, **dict.fromkeys(every, ALL)}


class User(Block):
    """A person who uses valtag: by which role, and (``brands``) of which brands, where that is narrower than the
    role's."""

    role: str | None = None
    roles: tuple[str, ...] = ()
    brands: Names = (ALL,)

    @property
    def every_role(self) -> tuple[str, ...]:
        """The roles the user may take; the first is the one taken unless another is asked for."""
        return (self.role, *self.roles) if self.role is not None else self.roles

    @model_validator(mode="after")
    def _some_role(self) -> "User":
        if not self.every_role:
            raise ValueError("a user has a role, or roles to choose from")
        return self


class Purpose(Block):
    """What data may be used for. ``level``: the highest that this purpose needs, whoever asks."""

    title: Title
    level: Access = "pii"


class Brands(Block):
    """What says of which brands a person is: the ``tag``, a text or a list of texts.

    ``values``: the brands there are. ``fields``: of a fact, the field that says of which brand a row is.
    """

    tag: Code
    values: tuple[str, ...] = Field(min_length=1)
    fields: dict[Code, Code] = {}


class Masks(Block):
    """What is left of a value that a role may not read; of a tag, or of a level. Left out: ``***``.

    ``last4``: the last four characters of eight or more. ``hmac``: HMAC-SHA256 of the value's text, equal for equal
    values; its key is in the environment variable ``key``. ``drop``: the column is not there.
    """

    levels: dict[Access, MaskName] = {}
    tags: dict[Code, MaskName] = {}
    key: Variable | None = None

    @model_validator(mode="after")
    def _with_key(self) -> "Masks":
        if "hmac" in (*self.levels.values(), *self.tags.values()) and self.key is None:
            raise ValueError("a mask hmac needs key: the name of the environment variable that holds the key")
        return self


class Key(Block):
    """A bearer key of `valtag serve`: the role it stands for, and where its secret is; the secret is never here.

    ``env`` names an environment variable that holds it; ``sha256`` is its SHA-256 digest, 64 hexadecimal digits.
    ``receipts``: whether it may tell what came of messages (POST /receipts). ``purpose``: what its answers are for.
    ``brands``: of which brands it asks, where that is narrower than the role's.
    """

    role: str
    receipts: bool = False
    purpose: str | None = None
    brands: Names = (ALL,)
    env: str | None = None
    sha256: str | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> "Key":
        if (self.env is None) == (self.sha256 is None):
            raise ValueError("a key has either env (a variable with the secret) or sha256 (the secret's digest)")
        if self.env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.env):
            raise ValueError("env is no name of an environment variable; write as VALTAG_KEY_SHOP")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 is no digest: 64 digits 0-9 a-f, as `printf %s SECRET | sha256sum` prints them")
        return self


class AccessRules(Block):
    """access.yaml. A role is a level (whatever is up to it, at every door), or a block of rights.

    ``default_role``: of whoever names none. ``users``: where there are any, nobody else is let in. ``keys``: who may
    ask `valtag serve`, by a name that is for people. ``ask``: whom to ask for more rights.
    """

    roles: dict[str, Annotated[Role, BeforeValidator(_read_role, json_schema_input_type=Access | Role)]] = Field(
        default={"analyst": "internal"}, validate_default=True
    )
    default_role: str = "analyst"
    users: dict[str, User] = {}
    purposes: dict[Code, Purpose] = {}
    brands: Brands | None = None
    masks: Masks = Masks()
    keys: dict[str, Key] = {}
    ask: str | None = None

    def model_post_init(self, _: Any) -> None:
        if self.default_role not in self.roles:
            raise ValueError(f"default_role '{self.default_role}' is not among roles {sorted(self.roles)}")


@dataclass(frozen=True)
class Asking:
    """Who says to be who, by which role (None: his own, or the default role), and what for."""

    role: str | None = None
    user: str = ""
    purpose: str | None = None


UNSAID = Asking()
"""Nothing is said: the default role, the name on this machine."""


def lowest(levels: Iterable[Access]) -> Access:
    """The lowest of some levels; pii of none."""
    return min(levels, key=ACCESS_LEVELS.index, default="pii")

"""identity.yaml: which fields are identifiers, and which of them make two rows one person (OneID)."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valtag_assets.spec.block import Access, Block, Code, Title

# In place of a kind: the field holds ids that valtag gave, of persons there are or were.
GIVEN = "person"
# People share names: a name is no identifier.
_NAMES = re.compile(r"name|\w*_name|nick\w*|姓名")
Normalise = Literal["text", "upper", "lower", "phone", "email"]
Comparison = Literal["name", "date", "equal"]


class IdentifierKind(Block):
    """One kind of identifier.

    ``normalise``: how two spellings become one key. ``text`` as it is, ``upper`` and ``lower`` case; ``email`` lower
    case, something@domain; ``phone`` digits only, without +86 or 0086: a mobile number of mainland China, or one of
    another country with its +code; anything else, landlines too, since many share one, is malformed.
    ``limit``: the most distinct stronger identifiers one key may stand beside; a key beside more is shared (a shop's
    tablet, a made-up number) and identifies nobody. ``block``: values that identify nobody. ``valid_for``: after so
    many days without a row a key may have gone to somebody else (recycled phone numbers).
    ``access``: the level a role needs to see its keys.
    """

    code: Code
    title: Title
    normalise: Normalise = "text"
    limit: int | None = Field(default=None, ge=1)
    block: tuple[str, ...] = ()
    valid_for: str | None = None
    access: Access = "pii"

    @field_validator("code")
    @classmethod
    def _no_name(cls, code: str) -> str:
        if _NAMES.fullmatch(code):
            raise ValueError(f"'{code}': names never make two rows one person; leave it out")
        if code == GIVEN:
            raise ValueError(f"'{code}' stands for the ids that valtag gives: call the kind otherwise")
        return code

    @field_validator("block", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [str(item) for item in value] if isinstance(value, list) else value

    @field_validator("valid_for")
    @classmethod
    def _days(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(r"[1-9]\d{0,4}d", text):
            raise ValueError(f"valid_for '{text}': write so many days as 180d")
        return text

    @property
    def days(self) -> int | None:
        """``valid_for`` in days."""
        return None if self.valid_for is None else int(self.valid_for[:-1])


class Apart(Block):
    """Two keys of the kind never end in one person, ``unless`` an identifier of these kinds holds them together, or
    one row holds both."""

    unless: tuple[Code, ...] = ()


class Origin(Block):
    """The channel (渠道) that rows of a source come from: what a ``field`` of each says, or one ``name`` for all."""

    field: Code | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Origin":
        if (self.field is None) == (self.name is None):
            raise ValueError("a channel is a field of the source, or {name: …} for all of its rows")
        return self


def _read_origin(data: Any) -> Any:
    """A field alone is the short form."""
    return {"field": data} if isinstance(data, str) else data


class Suggest(Block):
    """Who may be one person, for people to look at: pairs of rows of the master ``source`` that share no identifier.

    ``fields``, and how each is compared: ``name`` equal or one character apart, ``date`` equal or two digits
    apart, ``equal`` or not. Only rows equal in all fields of one of
    ``among`` are compared. ``expected``: the share of rows thought to be somebody's second. ``threshold``: the least
    probability that is shown.
    """

    source: Code
    fields: dict[Code, Comparison] = Field(min_length=2)
    among: tuple[tuple[Code, ...], ...] = Field(min_length=1)
    expected: float = Field(default=0.01, gt=0, lt=1)
    threshold: float = Field(default=0.3, gt=0, lt=1)


class Identity(Block):
    """identity.yaml. ``kinds``, the strongest first. ``sources``: of each source with persons, which field is an
    identifier of which kind; ``person`` for ids that valtag gave (receipts, a list that came back): these join
    nothing, and a former one is whoever it is now. ``apart``: kinds whose keys are different persons, by their code.
    ``channels``: of sources, where their rows come from, so that `valtag identity report` tells channels apart.
    ``suggest``: whom to ask about.

    ``salt`` goes into every person_id, so that nobody finds an identifier by hashing all there may be; another
    one gives everybody another id.
    """

    kinds: tuple[IdentifierKind, ...] = Field(min_length=1)
    sources: dict[Code, dict[Code, Code]] = Field(min_length=1)
    apart: dict[Code, Apart] = {}
    channels: dict[Code, Annotated[Origin, BeforeValidator(_read_origin, json_schema_input_type=str | Origin)]] = {}
    suggest: Suggest | None = None
    salt: str = ""

    @model_validator(mode="after")
    def _distinct(self) -> "Identity":
        codes = [kind.code for kind in self.kinds]
        twice = next((code for code in codes if codes.count(code) > 1), None)
        if twice is not None:
            raise ValueError(f"two kinds are called '{twice}'")
        if self.kinds[0].limit is not None:
            raise ValueError(f"'{self.kinds[0].code}' is the strongest kind: there is no stronger one to limit it by")
        return self

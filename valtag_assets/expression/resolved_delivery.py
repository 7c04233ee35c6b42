"""How persons are reached: channels, triggers, receivers, what travels to them, and audiences at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from valtag_assets.expression.rule import Member, ResolvedRule
from valtag_assets.expression.tree import Node
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.delivery import Delivery
from valtag_assets.spec.destination import Destination, Hmac
from valtag_assets.spec.effect import Effect
from valtag_assets.spec.project import Quiet
from valtag_assets.spec.trigger import Trigger
from valtag_assets.spec.types import DataType


@dataclass(frozen=True)
class TravellingField:
    """What travels under ``name``: a tag or score column, or being in a segment (a boolean), of ``type``.

    A masked one is text. Of kind ``text``: the same for everybody, as a trigger says it.
    """

    name: str
    source: str
    kind: Literal["tag", "score", "segment", "text"]
    type: DataType
    mask: Literal["last4", "drop"] | Hmac | None


@dataclass(frozen=True)
class ResolvedDestination:
    """One receiver and the fields it gets unless a delivery says otherwise."""

    code: str
    entry: Entry[Destination]
    fields: tuple[TravellingField, ...]

    @property
    def spec(self) -> Destination:
        return self.entry.spec


@dataclass(frozen=True)
class ResolvedDelivery:
    """One audience at one destination."""

    code: str
    entry: Entry[Delivery]
    destination: ResolvedDestination
    fields: tuple[TravellingField, ...]

    @property
    def spec(self) -> Delivery:
        return self.entry.spec


@dataclass(frozen=True)
class ResolvedChannel:
    """A way to reach a person, and when it is open: to whom it reaches, who agreed, who must not be reached."""

    code: str
    title: Title
    reachable: ResolvedRule
    consent: ResolvedRule | None = None
    suppressed: tuple[Member, ...] = ()
    quiet: Quiet | None = None


@dataclass(frozen=True)
class ResolvedEffect:
    """What a trigger is judged by: rows of a fact that satisfy ``where``, and what each is worth."""

    spec: Effect
    where: Node | None
    value: Node | None
    meaning: str


@dataclass(frozen=True)
class ResolvedTrigger:
    """One trigger: its rules by name (``when``, ``exclude``, ``unless``, ``step_<step>``, and of its channels), the
    fact whose rows start it, and everything it reads.

    ``channels``: of each step. ``columns``: the tags and score columns whose values are kept for each person who
    enters.
    """

    code: str
    entry: Entry[Trigger]
    rules: Mapping[str, ResolvedRule]
    channels: Mapping[str, str]
    event: str | None
    event_where: Node | None
    columns: Mapping[str, DataType]
    meaning: str
    effect: ResolvedEffect | None = None

    @property
    def spec(self) -> Trigger:
        return self.entry.spec

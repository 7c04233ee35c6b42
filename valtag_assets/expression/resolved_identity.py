"""identity.yaml resolved: the identifiers of every source, in order of strength."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.identity import Apart, IdentifierKind, Identity


@dataclass(frozen=True)
class Slot:
    """A place for one identifier of a row. ``rank``: how strong its kind is, 0 the strongest; ``number``: of several
    fields of one kind, which."""

    rank: int
    number: int

    @property
    def name(self) -> str:
        return f"k{self.rank}_{self.number}"


@dataclass(frozen=True)
class ResolvedIdentity:
    """``fields``: of each source its identifiers, (field, slot), the strongest first. ``meaning``: all that decides
    who is one person with whom. ``given``: of sources that have one, the field with ids that valtag gave. ``sealed``:
    the ranks of the kinds some field of which is vaulted, so that tokens of their keys are published."""

    entry: Entry[Identity]
    fields: Mapping[str, Sequence[tuple[str, Slot]]]
    meaning: str
    given: Mapping[str, str] = field(default_factory=dict)
    sealed: frozenset[int] = frozenset()

    @property
    def kinds(self) -> Sequence[IdentifierKind]:
        """The kinds, the strongest first: a kind's place is its rank."""
        return self.entry.spec.kinds

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The rank of each kind, by its code."""
        return {kind.code: rank for rank, kind in enumerate(self.kinds)}

    @cached_property
    def slots(self) -> Sequence[Slot]:
        """Every slot some source fills, the strongest first."""
        found = {slot for pairs in self.fields.values() for _, slot in pairs}
        return sorted(found, key=lambda slot: (slot.rank, slot.number))

    @property
    def ranks_borne(self) -> Sequence[int]:
        """The ranks of the kinds of which there is a slot, the strongest first."""
        return sorted({slot.rank for slot in self.slots})

    def slots_of(self, rank: int) -> Sequence[Slot]:
        """The slots of one kind."""
        return [slot for slot in self.slots if slot.rank == rank]

    @property
    def apart(self) -> Mapping[int, frozenset[int]]:
        """The ranks of the kinds that stay apart, and of those that may join them."""
        rules: Mapping[str, Apart] = self.entry.spec.apart
        return {self.ranks[code]: frozenset(self.ranks[kind] for kind in rule.unless) for code, rule in rules.items()}

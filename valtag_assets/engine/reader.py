"""Who reads: the one thing every door asks.

A door is a place where data of persons leave: a command, a route, a delivery. A Reader exists only for who may go
through one, and knows which columns, audiences, persons and rows are for him. What he may not see never leaves the
engine.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ibis.expr.types as ir

from valtag_assets.engine.access import Need, column_needs, may_read, person_need
from valtag_assets.engine.masks import mask_column, mask_value
from valtag_assets.engine.persons import PERSON
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.access import ALL, AccessRules, Asking, Door, MaskName, Role, lowest, names
from valtag_assets.spec.block import Access
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.snapshot import TableRef

SHORTEST_KEY = 16
FEWEST_TOLD = 5
"""A count of fewer persons, or of all but fewer, says something of single ones."""


class Denied(Mistake):
    """Who asks may not: the message names the door, the role, what it takes and whom to ask; never a value."""


@dataclass(frozen=True)
class Reader:
    """One who went through ``door``. ``level``: the highest he reads. ``brands``: of which brands, None for all.

    ``secret``: the key of the mask hmac, as it is set; "" where it is not.
    """

    resolved: Resolved
    door: Door
    user: str
    role: str
    rights: Role
    level: Access
    purpose: str | None
    brands: frozenset[str] | None
    secret: str = field(default="", repr=False)

    # What may be read

    def may(self, need: Need) -> bool:
        """Whether everything that ``need`` names is for this reader."""
        return self._reaches(need) and self._named(need)

    def needs(self, table: TableRef, columns: Iterable[str]) -> dict[str, Need]:
        """What each column of a published table takes."""
        return column_needs(self.resolved, table, columns)

    def hidden(self, table: TableRef, columns: Iterable[str]) -> frozenset[str]:
        """The columns that are not for this reader."""
        return frozenset(name for name, need in self.needs(table, columns).items() if not self.may(need))

    def require(self, need: Need, what: str) -> None:
        """Raises Denied unless ``what`` is for this reader."""
        if not self.may(need):
            raise self.denied(need, what)

    def require_persons(self) -> None:
        """Raises Denied for who may not know of single persons."""
        self.require(person_need(self.resolved), f"{PERSON}, and so no single person")

    def require_every_brand(self, what: str) -> None:
        """Raises Denied for a reader of some brands: ``what`` counts persons of all of them."""
        if self.brands is not None:
            said = f"{what} counts persons of every brand, and {self._name} reads {', '.join(sorted(self.brands))}"
            raise Denied(f"{self.door}: {said} only; {self._whom_to_ask}")

    def require_asked(self, need: Need, what: str) -> None:
        """Raises Denied where the answer about what may not be read is more than a role of rights may know.

        A role that is a level alone gets the count, as ever, and every value masked.
        """
        if not self.counts_hidden:
            self.require(need, what)

    @property
    def counts_hidden(self) -> bool:
        """Whether the role is a level alone (the short form): it counts over what it may not read."""
        own = self.rights
        every = (own.may, own.categories, own.sources, own.destinations, own.purposes, own.brands)
        return all(ALL in rights for rights in every) and own.tags.deny == ()

    def tells(self, need: Need, counted: int, of: int) -> bool:
        """Whether ``counted`` of so many persons may be told: over what may not be read, no count of few."""
        return self.may(need) or (self.counts_hidden and FEWEST_TOLD <= counted <= of - FEWEST_TOLD)

    def denied(self, need: Need, what: str) -> Denied:
        """Why ``what`` is not for this reader."""
        if not self._reaches(need):
            takes = f"it takes the level {need.level}, and this role reads {self.level}"
        else:
            takes = "the role names no right to it"
        return Denied(f"{self.door}: {self._name} may not read {what}: {takes}; {self._whom_to_ask}")

    def unnamed(self, what: str) -> Denied:
        """That the role names no right to ``what``."""
        return Denied(f"{self.door}: {self._name} names no right to {what}; {self._whom_to_ask}")

    def _reaches(self, need: Need) -> bool:
        return may_read(self.level, need.level)

    def _named(self, need: Need) -> bool:
        tags, rights = self.resolved.tags, self.rights
        return all(
            rights.reads_tag(code, tags[code].category if code in tags else None) for code in need.tags
        ) and all(names(rights.sources, source) for source in need.sources)

    @property
    def _name(self) -> str:
        return f"role {self.role}" if self.purpose is None else f"role {self.role} for {self.purpose}"

    @property
    def _whom_to_ask(self) -> str:
        return whom_to_ask(self.resolved)

    # What is left of the rest

    def mask(self, column: str, need: Need) -> MaskName:
        """What is left of a hidden column. A mask goes with a level: without the right to a tag nothing is left."""
        masks = self.resolved.catalog.access.masks
        if not self._named(need):
            return "stars"
        return masks.tags.get(column) or masks.levels.get(need.level, "stars")

    def masked(self, column: str, need: Need, value: Any) -> str:
        """What is left of one hidden value, given as JSON has it."""
        how = self.mask(column, need)
        return mask_value(value, how, self.mask_key() if how == "hmac" else b"")

    def masked_column(self, column: str, need: Need, value: ir.Value) -> ir.StringValue:
        """What the engine leaves of a hidden column."""
        how = self.mask(column, need)
        return mask_column(value, how, self.mask_key() if how == "hmac" else b"")

    def mask_key(self) -> bytes:
        """The key of the mask hmac. Mistake where it is not set, or too short to keep anything secret."""
        variable, text = self.resolved.catalog.access.masks.key, self.secret
        if len(text) < SHORTEST_KEY:
            found = "is not set" if not text else f"is shorter than {SHORTEST_KEY} characters"
            raise Mistake(f"access.yaml: masks have their key in the environment variable {variable}, which {found}")
        return text.encode("utf-8", "surrogatepass")


def reader_of(
    resolved: Resolved,
    door: Door,
    asking: Asking,
    environment: Mapping[str, str],
    brands: Collection[str] = (ALL,),
    *,
    by_key: bool = False,
) -> Reader:
    """Who asks, if he may come in. Denied if not. ``brands`` narrow the role's; ``by_key``: a key of access.yaml
    stands for who asks, and not a user."""
    access = resolved.catalog.access
    role, own_brands = (_chosen(access, asking.role), tuple(brands)) if by_key else _as_user(resolved, door, asking)
    rights = access.roles[role]
    if not names(rights.may, door):
        raise Denied(
            f"{door}: role {role} may not go through this door (access.yaml: roles.{role}.may); "
            f"{whom_to_ask(resolved)}"
        )
    purpose = _purpose(resolved, door, role, asking.purpose)
    level = lowest([rights.level, access.purposes[purpose].level]) if purpose in access.purposes else rights.level
    found = _brands(resolved, door, role, own_brands)
    secret = environment.get(access.masks.key or "", "")
    return Reader(resolved, door, asking.user, role, rights, level, purpose, found, secret)


def whom_to_ask(resolved: Resolved) -> str:
    """Who gives rights: as access.yaml says, or the project's owner."""
    return f"ask {resolved.catalog.access.ask or resolved.catalog.project.owner}"


def _chosen(access: AccessRules, role: str | None) -> str:
    name = role or access.default_role
    if name not in access.roles:
        raise Mistake(f"'{name}' is no role of access.yaml{did_you_mean(name, sorted(access.roles))}")
    return name


def _as_user(resolved: Resolved, door: Door, asking: Asking) -> tuple[str, tuple[str, ...]]:
    """The role and brands of who asks; where access.yaml names no users, everybody takes the role he asks for."""
    access = resolved.catalog.access
    if not access.users:
        return _chosen(access, asking.role), (ALL,)
    user = access.users.get(asking.user)
    if user is None:
        raise Denied(f"{door}: '{asking.user}' is no user of access.yaml; {whom_to_ask(resolved)}")
    role = asking.role or user.every_role[0]
    if role not in user.every_role:
        raise Denied(
            f"{door}: {asking.user} has not the role {role}, but {', '.join(user.every_role)};"
            f" {whom_to_ask(resolved)}"
        )
    return role, user.brands


def _purpose(resolved: Resolved, door: Door, role: str, purpose: str | None) -> str | None:
    """The purpose that is asked for. A role of rights has to say one where the catalog declares any."""
    declared, rights = resolved.catalog.access.purposes, resolved.catalog.access.roles[role].purposes
    if purpose is None:
        if declared and ALL not in rights:
            known = ", ".join(name for name in declared if name in rights) or "none"
            raise Denied(
                f"{door}: role {role} has to say what for (--purpose; it has {known}); {whom_to_ask(resolved)}"
            )
        return None
    if not declared:
        return purpose  # for the record
    if purpose not in declared:
        raise Mistake(f"'{purpose}' is no purpose of access.yaml{did_you_mean(purpose, sorted(declared))}")
    if not names(rights, purpose):
        raise Denied(f"{door}: role {role} has not the purpose {purpose}; {whom_to_ask(resolved)}")
    return purpose


def _brands(resolved: Resolved, door: Door, role: str, own: Collection[str]) -> frozenset[str] | None:
    """The brands both the role and the user have; None for every one, or where the catalog knows of none."""
    brands, rights = resolved.catalog.access.brands, resolved.catalog.access.roles[role].brands
    if brands is None or (ALL in rights and ALL in own):
        return None
    found = frozenset(brand for brand in brands.values if names(rights, brand) and names(own, brand))
    if not found:
        raise Denied(f"{door}: role {role} reads no brand (access.yaml: brands); {whom_to_ask(resolved)}")
    return found

"""Mistakes of access.yaml that only the whole catalog shows: names that nothing has, keys that come in nowhere."""

from collections.abc import Collection, Iterator

from valtag_assets.engine.reader import reader_of
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.access import ALL, AccessRules, Asking, Brands
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.types import DataType


def access_rule_mistakes(resolved: Resolved) -> Iterator[Problem]:
    """Every one, each at its place."""
    entry = resolved.catalog.access_entry
    if entry is None:
        return
    yield from _of_roles(resolved, entry)
    yield from _of_users(entry)
    yield from _of_masks(resolved, entry)
    if entry.spec.brands is not None:
        yield from _of_brands(resolved, entry, entry.spec.brands)
    for name, key in entry.spec.keys.items():
        if key.role in entry.spec.roles:
            yield from _unknown(entry, key.brands, _brands(entry.spec), "brand", "keys", name, "brands")
            try:
                asking = Asking(key.role, f"key {name}", key.purpose)
                reader_of(resolved, "serve", asking, {}, key.brands, by_key=True)
            except Mistake as error:
                yield entry.problem(str(error), "keys", name)


def _of_roles(resolved: Resolved, entry: Entry[AccessRules]) -> Iterator[Problem]:
    known = {
        "categories": ("category", resolved.categories),
        "sources": ("source", resolved.sources),
        "destinations": ("destination", resolved.destinations),
        "purposes": ("purpose", entry.spec.purposes),
        "brands": ("brand", _brands(entry.spec)),
    }
    for name, role in entry.spec.roles.items():
        for right, (word, there) in known.items():
            yield from _unknown(entry, getattr(role, right), there, word, "roles", name, right)
        for way, codes in (("allow", role.tags.allow), ("deny", role.tags.deny)):
            yield from _unknown(entry, codes, resolved.tags, "tag", "roles", name, "tags", way)


def _of_users(entry: Entry[AccessRules]) -> Iterator[Problem]:
    for name, user in entry.spec.users.items():
        place = "role" if user.role is not None and user.role not in entry.spec.roles else "roles"
        yield from _unknown(entry, user.every_role, entry.spec.roles, "role", "users", name, place)
        yield from _unknown(entry, user.brands, _brands(entry.spec), "brand", "users", name, "brands")


def _of_masks(resolved: Resolved, entry: Entry[AccessRules]) -> Iterator[Problem]:
    for code in entry.spec.masks.tags:
        yield from _unknown(entry, (code,), resolved.tags, "tag", "masks", "tags", code)


def _of_brands(resolved: Resolved, entry: Entry[AccessRules], brands: Brands) -> Iterator[Problem]:
    tag = resolved.tags.get(brands.tag)
    if tag is None:
        yield from _unknown(entry, (brands.tag,), resolved.tags, "tag", "brands", "tag")
    elif tag.type not in (DataType("text"), DataType("list", item="text")):
        yield entry.problem(f"'{brands.tag}' is {tag.type}: a brand is a text, or a list of texts", "brands", "tag")
    for source, field in brands.fields.items():
        if source not in resolved.sources:
            yield from _unknown(entry, (source,), resolved.sources, "source", "brands", "fields", source)
        else:
            columns = resolved.sources[source].columns
            yield from _unknown(entry, (field,), columns, f"field of {source}", "brands", "fields", source)


def _brands(access: AccessRules) -> Collection[str]:
    return access.brands.values if access.brands is not None else ()


def _unknown(
    entry: Entry[AccessRules], written: Collection[str], known: Collection[str], word: str, *place: str
) -> Iterator[Problem]:
    for name in written:
        if name != ALL and name not in known:
            yield entry.problem(f"'{name}' is no {word}{did_you_mean(name, sorted(known))}", *place)

"""A catalog folder as one object: every file read, every name unique, every reference met."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Generic, TypeVar

from valtag_assets.spec.access import AccessRules
from valtag_assets.spec.allocation import Allocation
from valtag_assets.spec.block import Block, Title
from valtag_assets.spec.delivery import Delivery, DeliveryFile
from valtag_assets.spec.destination import Destination
from valtag_assets.spec.identity import Identity
from valtag_assets.spec.loading import CatalogFile, Kinds, Place, problem_at, read_file
from valtag_assets.spec.ltv import Ltv
from valtag_assets.spec.placement import Placement
from valtag_assets.spec.problem import CatalogError, Problem, did_you_mean
from valtag_assets.spec.project import Project
from valtag_assets.spec.report import Report, ReportFile
from valtag_assets.spec.score import Rfm
from valtag_assets.spec.segment import Segment, SegmentFile
from valtag_assets.spec.source import Source
from valtag_assets.spec.tag import Category, Tag
from valtag_assets.spec.trigger import Trigger

Spec = TypeVar("Spec", bound=Block)

SCORES: Kinds[Block] = Kinds("model", "rfm", {"rfm": Rfm, "ltv": Ltv})
FOLDERS: Mapping[str, type[Block] | Kinds[Block]] = {
    "sources": Source,
    "tags": Category,
    "scores": SCORES,
    "segments": SegmentFile,
    "reports": ReportFile,
    "placements": Placement,
    "allocations": Allocation,
    "destinations": Destination,
    "deliveries": DeliveryFile,
    "triggers": Trigger,
}

Owned = Source | Category | Rfm | Ltv | Segment | Report | Placement | Allocation | Destination | Delivery | Trigger

# The files beside project.yaml that a catalog may have.
_SINGLE = ("access.yaml", "identity.yaml")
# The kinds of source whose keys may make up the population.
OF_PERSONS = ("master", "fact")
_DEFINED = re.compile(
    r"\b(?:code|source|category|score|placement|allocation|destination|trigger|name)[\"']?\s*:\s*[\"']?([a-z][a-z0-9_]*)"
)
_QUOTED = re.compile(r"'([a-z][a-z0-9_]*)'")
# Stands in for a project.yaml that can't be read, so that the other files are checked all the same.
_UNREADABLE = Project(name="unreadable", title=Title(zh="", en=""), start=date.min)


@dataclass(frozen=True)
class Entry(Generic[Spec]):
    """One definition and where it stands, so that any later mistake can be pointed at."""

    spec: Spec
    file: Path
    raw: Any = field(repr=False)
    place: Place = ()

    def problem(self, message: str, *place: str | int) -> Problem:
        return problem_at(self.file, self.raw, (*self.place, *place), message)


@dataclass(frozen=True)
class Catalog:
    """Everything a catalog folder says. Keys are codes; order is file order, then the order in the file."""

    root: Path
    project: Project
    access: AccessRules
    sources: Mapping[str, Entry[Source]]
    categories: Mapping[str, Entry[Category]]
    tags: Mapping[str, Entry[Tag]]
    scores: Mapping[str, Entry[Any]]
    segments: Mapping[str, Entry[Segment]]
    reports: Mapping[str, Entry[Report]]
    placements: Mapping[str, Entry[Placement]]
    allocations: Mapping[str, Entry[Allocation]]
    destinations: Mapping[str, Entry[Destination]]
    deliveries: Mapping[str, Entry[Delivery]]
    triggers: Mapping[str, Entry[Trigger]]
    digest: str
    access_entry: Entry[AccessRules] | None = None
    identity: Entry[Identity] | None = None

    def owner_of(self, spec: Owned) -> str:
        return spec.owner or self.project.owner

    def person_sources(self) -> tuple[str, ...]:
        """The sources whose keys make up the population: as declared, or every master, or every fact."""
        if self.project.persons.sources:
            return self.project.persons.sources
        for kind in ("master", "fact"):
            found = tuple(code for code, entry in self.sources.items() if entry.spec.kind == kind)
            if found:
                return found
        return ()


@dataclass(frozen=True)
class Reading:
    """A catalog folder as far as it could be read, and every mistake found on the way.

    ``lost`` are the names that files which could not be read define: what refers to them is not at fault.
    """

    catalog: Catalog
    problems: tuple[Problem, ...]
    lost: frozenset[str]

    def blames_lost(self, problem: Problem) -> bool:
        """Whether ``problem`` quotes a name that an unreadable file would have defined."""
        quoted = _QUOTED.findall(problem.message)
        return any(word == name or word.startswith(f"{name}_") for word in quoted for name in self.lost)


def read_catalog(root: Path, kept: Callable[[Path], CatalogFile[Any] | None] | None = None) -> Reading:
    """Read what can be read of the catalog folder ``root``; ``kept`` may know a file without reading it again.

    Raises CatalogError when it is none.
    """
    if not (root / "project.yaml").is_file():
        raise CatalogError([Problem(root, 1, "", "is no catalog folder: project.yaml is missing")])
    problems: list[Problem] = []
    project = _read(root / "project.yaml", Project, problems)
    access = _read_single(root / "access.yaml", AccessRules, problems)
    identity = _read_single(root / "identity.yaml", Identity, problems)
    files = {folder: _read_folder(root / folder, model, problems, kept) for folder, model in FOLDERS.items()}
    lost = frozenset(name for file in {problem.file for problem in problems} for name in _names_in(file))
    problems.extend(_unknown_files(root))
    sources = _index(files["sources"], "source", problems)
    tables = project.model.code_tables if project else {}
    sources = {code: _with_code_tables(entry, tables, problems) for code, entry in sources.items()}
    catalog = Catalog(
        root=root,
        project=project.model if project else _UNREADABLE,
        access=access.model if access else AccessRules(),
        sources=sources,
        categories=_index(files["tags"], "category", problems),
        tags=_nested(files["tags"], "tags", "tag", problems),
        scores=_index(files["scores"], "score", problems),
        segments=_nested(files["segments"], "segments", "segment", problems),
        reports=_nested(files["reports"], "reports", "report", problems),
        placements=_index(files["placements"], "placement", problems),
        allocations=_index(files["allocations"], "allocation", problems),
        destinations=_index(files["destinations"], "destination", problems),
        deliveries=_nested(files["deliveries"], "deliveries", "delivery", problems),
        triggers=_index(files["triggers"], "trigger", problems),
        digest=_digest(root),
        access_entry=Entry(access.model, access.path, access.raw) if access else None,
        identity=None if identity is None else Entry(identity.model, identity.path, identity.raw),
    )
    references = list(_person_references(catalog, project)) if project else []
    references.extend(_key_references(access) if access else ())
    for source in sources.values():
        references.extend(_source_references(catalog, source))
    reading = Reading(catalog, tuple(problems), lost)
    return replace(reading, problems=(*problems, *(p for p in references if not reading.blames_lost(p))))


def _names_in(file: Path) -> Iterator[str]:
    """The names a catalog file defines, as far as its text shows them, whether it is valid YAML or not."""
    try:
        text = file.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return
    yield from _DEFINED.findall(text)


def catalog_files(root: Path) -> list[Path]:
    """The YAML files that make up the catalog, in a stable order."""
    found = [root / name for name in ("project.yaml", *_SINGLE) if (root / name).is_file()]
    return found + [file for folder in FOLDERS for file in sorted((root / folder).glob("*.yaml"))]


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for file in catalog_files(root):
        digest.update(f"{file.relative_to(root)}\0".encode())
        digest.update(content_of(file))
    return digest.hexdigest()


def content_of(file: Path) -> bytes:
    """The bytes of a catalog file; none of one that can't be read, which is a problem of its own."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _unknown_files(root: Path) -> Iterator[Problem]:
    known = [*FOLDERS, "project.yaml", *_SINGLE]
    for path in sorted(root.glob("*.y*ml")):
        if path.name not in known:
            yield Problem(path, 1, "", f"is not part of a catalog{did_you_mean(path.name, known)}")
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*.yml")):
            yield Problem(path, 1, "", f"is not read: rename it to {path.stem}.yaml")
    for path in sorted(path for path in root.iterdir() if path.is_dir()):
        if path.name not in FOLDERS and any(path.glob("*.yaml")):
            yield Problem(path, 1, "", f"is no folder of a catalog{did_you_mean(path.name, list(FOLDERS))}")


def _read(path: Path, model: type[Any] | Kinds[Any], problems: list[Problem]) -> CatalogFile[Any] | None:
    read = read_file(path, model)
    if isinstance(read, CatalogFile):
        return read
    problems.extend(read)
    return None


def _read_single(path: Path, model: type[Any], problems: list[Problem]) -> CatalogFile[Any] | None:
    return _read(path, model, problems) if path.is_file() else None


def _read_folder(
    folder: Path,
    model: type[Any] | Kinds[Any],
    problems: list[Problem],
    kept: Callable[[Path], CatalogFile[Any] | None] | None,
) -> list[CatalogFile[Any]]:
    paths = sorted(folder.glob("*.yaml"))
    read = [(kept and kept(path)) or _read(path, model, problems) for path in paths]
    return [file for file in read if file is not None]


def _index(files: list[CatalogFile[Any]], key: str, problems: list[Problem]) -> dict[str, Entry[Any]]:
    found: dict[str, Entry[Any]] = {}
    for file in files:
        code = getattr(file.model, key)
        entry = Entry(file.model, file.path, file.raw)
        _add(found, code, entry, key, problems)
    return found


def _nested(files: list[CatalogFile[Any]], many: str, word: str, problems: list[Problem]) -> dict[str, Entry[Any]]:
    found: dict[str, Entry[Any]] = {}
    for file in files:
        for number, item in enumerate(getattr(file.model, many)):
            entry = Entry(item, file.path, file.raw, (many, number))
            _add(found, item.code, entry, word, problems)
    return found


def _add(found: dict[str, Entry[Any]], code: str, entry: Entry[Any], word: str, problems: list[Problem]) -> None:
    if code in found:
        other = found[code]
        key = "code" if entry.place else word
        at = other.problem("", key)
        problems.append(entry.problem(f"{word} '{code}' is defined already at {at.file.name}:{at.line}", key))
    else:
        found[code] = entry


def _with_code_tables(
    entry: Entry[Source], tables: Mapping[str, dict[str, str]], problems: list[Problem]
) -> Entry[Source]:
    """The source with the project's code tables put where its fields name them."""
    fields = []
    for number, item in enumerate(entry.spec.fields):
        if item.code_table is not None and item.code_table not in tables:
            nearest = did_you_mean(item.code_table, list(tables))
            message = f"'{item.code_table}' is no code table of project.yaml{nearest}"
            problems.append(entry.problem(message, "fields", number, "code_table"))
        shared = tables.get(item.code_table or "")
        fields.append(item.model_copy(update={"values": shared, "code_table": None}) if shared else item)
    return replace(entry, spec=entry.spec.model_copy(update={"fields": tuple(fields)}))


def _person_references(catalog: Catalog, project: CatalogFile[Project]) -> Iterator[Problem]:
    for number, code in enumerate(catalog.project.persons.sources):
        if code not in catalog.sources or catalog.sources[code].spec.kind not in OF_PERSONS:
            known = [name for name, entry in catalog.sources.items() if entry.spec.kind in OF_PERSONS]
            message = f"'{code}' is no master or fact{did_you_mean(code, known)}"
            yield project.problem(("persons", "sources", number), message)
    if not catalog.person_sources() and not any((catalog.root / "sources").glob("*.yaml")):
        yield project.problem((), "there is no sources/*.yaml, so there are no persons")
    elif not catalog.person_sources() and catalog.sources:
        yield project.problem((), "the catalog has no master and no fact, so there are no persons")


def _key_references(access: CatalogFile[AccessRules]) -> Iterator[Problem]:
    roles = sorted(access.model.roles)
    for name, key in access.model.keys.items():
        if key.role not in roles:
            message = f"'{key.role}' is no role{did_you_mean(key.role, roles)}"
            yield access.problem(("keys", name, "role"), message)


def _source_references(catalog: Catalog, entry: Entry[Source]) -> Iterator[Problem]:
    source = entry.spec
    own = [item.name for item in source.fields]
    every = own + [item.name for item in source.compute] + [t for look in source.lookups for t in look.take]
    if source.kind != "lookup" and source.person is None and not _identified(catalog, source.source):
        message = f"a {source.kind} needs person: the field that holds the person's key"
        yield entry.problem(f"{message}, or identifiers in identity.yaml")
    if source.person and source.person not in own:
        yield entry.problem(f"'{source.person}' is no field{did_you_mean(source.person, own)}", "person")
    if source.time and source.time not in every:
        yield entry.problem(f"'{source.time}' is no field{did_you_mean(source.time, every)}", "time")
    for number, name in enumerate(source.key):
        if name not in every:
            yield entry.problem(f"'{name}' is no field{did_you_mean(name, every)}", "key", number)
    for name in source.deduplicate.key if source.deduplicate else ():
        if name not in every:
            yield entry.problem(f"'{name}' is no field{did_you_mean(name, every)}", "deduplicate", "key")
    for text in source.deduplicate.order if source.deduplicate else ():
        name, _, direction = text.partition(" ")
        if name not in every or direction.strip() not in ("", "asc", "desc"):
            message = f"'{text}' is not 'field asc' or 'field desc'{did_you_mean(name, every)}"
            yield entry.problem(message, "deduplicate", "order")
    for number, item in enumerate(source.fields):
        for step, unit in enumerate(item.unit):
            if unit.by is not None and unit.by not in own:
                message = f"'{unit.by}' is no field{did_you_mean(unit.by, own)}"
                yield entry.problem(message, "fields", number, "unit", step, "by")
    yield from _lookup_references(catalog, entry, own)


def _identified(catalog: Catalog, source: str) -> bool:
    """Whether identity.yaml names identifiers of the source, or can't be read and may do so."""
    if catalog.identity is None:
        return (catalog.root / "identity.yaml").is_file()
    return source in catalog.identity.spec.sources


def _lookup_references(catalog: Catalog, entry: Entry[Source], own: list[str]) -> Iterator[Problem]:
    lookups = [code for code, other in catalog.sources.items() if other.spec.kind == "lookup"]
    for number, lookup in enumerate(entry.spec.lookups):
        if lookup.source not in lookups:
            message = f"'{lookup.source}' is no lookup source{did_you_mean(lookup.source, lookups)}"
            yield entry.problem(message, "lookups", number, "source")
            continue
        if lookup.on not in own:
            message = f"'{lookup.on}' is no field{did_you_mean(lookup.on, own)}"
            yield entry.problem(message, "lookups", number, "on")
        other = catalog.sources[lookup.source].spec
        if other.lookups:
            yield entry.problem("a lookup must not itself use lookups", "lookups", number, "source")
        known = [item.name for item in other.fields] + [item.name for item in other.compute]
        for place, name in enumerate(lookup.take):
            if name not in known:
                message = f"'{name}' is no field of {lookup.source}{did_you_mean(name, known)}"
                yield entry.problem(message, "lookups", number, "take", place)

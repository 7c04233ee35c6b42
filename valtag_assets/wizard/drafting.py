"""Proposals put into the catalog's files: checked as a whole before a byte is written, and written by renaming.

What ``valtag check`` would refuse is refused here with its words, and so is what it can't see: a tag that says again
what another says, and one that may be read by more people than the fields it is made of.
"""

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from valtag_assets.engine.access import field_levels
from valtag_assets.expression.origins import source_columns
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.catalog import checked_catalog
from valtag_assets.graph.setting import SHIPPED
from valtag_assets.spec.block import ACCESS_LEVELS, check_code
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import CatalogError
from valtag_assets.spec.tag_text import NoPlace, category_text, with_laws, with_tags, with_windows
from valtag_assets.warehouse import durable, locks
from valtag_assets.wizard.laws import Law
from valtag_assets.wizard.making import Proposal, highest
from valtag_assets.wizard.meanings import Meanings
from valtag_assets.wizard.words import CATEGORIES

_BOM = b"\xef\xbb\xbf"
_WAIT = 30.0  # seconds


@dataclass(frozen=True)
class Change:
    """One file of the catalog as it is (None: not there) and as it would be."""

    file: Path
    before: bytes | None
    after: bytes


@dataclass(frozen=True)
class Draft:
    """The catalog with the proposals in it, sound as a whole, and the files that make it so."""

    resolved: Resolved
    changes: Sequence[Change]

    def write(self) -> list[Path]:
        """Write every file: a reader finds the old or the new one. Of two who write at once the second raises
        Mistake, as everybody does who finds a file changed meanwhile."""
        root = self.resolved.catalog.root
        if root.is_relative_to(SHIPPED):
            raise Mistake(f"{root.name} is a shipped catalog; make one of your own with valtag init, and add to that")
        # The file that every catalog has is never written here: it is what writers queue for.
        with locks.together(root / "project.yaml", exclusive=True, what=f"the catalog {root.name}", seconds=_WAIT):
            for change in self.changes:
                if _bytes_of(change.file) != change.before:
                    raise Mistake(f"{change.file} was changed meanwhile; nothing is written, ask again")
            for change in self.changes:
                _replace(change)
        return [change.file for change in self.changes]


def draft(resolved: Resolved, proposals: Sequence[Proposal], laws: Sequence[Law] = ()) -> Draft:
    """The catalog with ``proposals`` and the ``laws`` between them; writes nothing. Raises CatalogError or Mistake
    with what is wrong."""
    changes = [_lawful(change, resolved, laws) for change in _changes(resolved, proposals)]
    made = _checked(resolved, changes)
    columns = [column for proposal in proposals for column in proposal.columns.values()]
    faults = [*_said_again(made, columns), *_too_open(made, columns)]
    if faults:
        raise Mistake("\n".join(faults))
    return Draft(made, changes)


def trial(resolved: Resolved, proposals: Sequence[Proposal]) -> Resolved:
    """The catalog with ``proposals``, to compute them; some may say what another tag says. Raises as ``draft``."""
    return _checked(resolved, _changes(resolved, proposals))


def _changes(resolved: Resolved, proposals: Sequence[Proposal]) -> list[Change]:
    found: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        found.setdefault(proposal.category, []).append(proposal)
    return [_changed(resolved, category, own) for category, own in found.items()]


def _changed(resolved: Resolved, category: str, proposals: Sequence[Proposal]) -> Change:
    tags = [proposal.tag for proposal in proposals if not proposal.widens]
    known = resolved.catalog.categories.get(category)
    if known is None:
        try:
            check_code(category)
        except ValueError as error:
            raise Mistake(str(error)) from error
        file = resolved.catalog.root / "tags" / f"{category}.yaml"
        if file.exists():
            raise Mistake(f"{file} holds another category; name the category as the file, or another one")
        return Change(file, None, category_text(_heading(category), tags).encode())
    before = known.file.read_bytes()
    text = before.removeprefix(_BOM).decode("utf-8")
    try:
        after = with_tags(text, tags)
        for wider in proposals:
            if wider.widens:
                after = with_windows(after, wider.code, list(wider.columns))
    except NoPlace as error:
        raise Mistake(f"{known.file}: {error}") from error
    return Change(known.file, before, (_BOM if before.startswith(_BOM) else b"") + after.encode())


def _lawful(change: Change, resolved: Resolved, laws: Sequence[Law]) -> Change:
    """The change with the laws of its category, where the file has a place for them."""
    categories = resolved.catalog.categories.items()
    category = next((code for code, entry in categories if entry.file == change.file), change.file.stem)
    own = [law.block for law in laws if law.category == category]
    try:
        return replace(change, after=with_laws(change.after.decode(), own).encode()) if own else change
    except NoPlace as error:
        raise Mistake(f"{change.file}: {error}") from error


def _heading(category: str) -> dict[str, Any]:
    title = CATEGORIES.get(category)
    zh, en = (title.zh, title.en) if title else (category, category.replace("_", " ").capitalize())
    schedule = {"schedule": "on_change"} if category == "attribute" else {"schedule": "daily", "deadline": "06:00"}
    return {"category": category, "title": {"zh": zh, "en": en}, "refresh": schedule}


def _checked(resolved: Resolved, changes: Sequence[Change]) -> Resolved:
    """The catalog with the changes, read and checked by the loader that everything else uses."""
    root = resolved.catalog.root
    with tempfile.TemporaryDirectory(prefix="valtag-") as folder:
        copy = Path(folder) / root.name
        for file in (*root.glob("*.y*ml"), *root.glob("*/*.y*ml")):
            target = copy / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        for change in changes:
            target = copy / change.file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(change.after)
        try:
            made = checked_catalog(copy)
        except CatalogError as error:
            raise CatalogError(
                [replace(problem, file=root / problem.file.relative_to(copy)) for problem in error.problems]
            ) from error
    old, new = resolved.catalog.tags, made.catalog.tags
    assert all(
        new[code].spec.model_copy(update={"windows": entry.spec.windows}) == entry.spec for code, entry in old.items()
    ), "a tag that was there has changed"
    return replace(made, catalog=replace(made.catalog, root=root))


def _said_again(resolved: Resolved, columns: Sequence[str]) -> Iterator[str]:
    known = Meanings(resolved)
    for column in columns:
        twin = known.twin(column)
        if twin is not None:
            entry = resolved.tags[twin].entry
            at = entry.problem("", "code")
            where = "" if twin in columns else f" ({at.file.name}:{at.line})"
            yield f"'{column}' would say exactly what '{twin}'{where} says; use that one"


def _too_open(resolved: Resolved, columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        tag = resolved.tags[column]
        levels = {
            f"{source}.{field}": field_levels(resolved, resolved.sources[source])[field]
            for source, field in source_columns(resolved, tag)
        }
        needed = highest(levels.values())
        if ACCESS_LEVELS.index(tag.spec.access) < ACCESS_LEVELS.index(needed):
            which = sorted(name for name, level in levels.items() if level == needed)
            made_of = f"is made of {', '.join(which)}, which is {needed}"
            yield f"'{column}' is {tag.spec.access} and {made_of}: its access is {needed}"


def _bytes_of(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _replace(change: Change) -> None:
    # A link stays a link: what it points to is replaced.
    file = change.file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = f".{file.name}.valtag-"
    # Nobody else writes now: what lies there was left by somebody who was killed.
    for left in file.parent.glob(f"{glob.escape(beside)}*"):
        left.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=beside, delete=False) as written:
        new = Path(written.name)
        try:
            written.write(change.after)
            written.flush()
            os.fsync(written.fileno())
            new.chmod(file.stat().st_mode & 0o7777 if change.before is not None else 0o644)
            os.replace(new, file)
        finally:
            new.unlink(missing_ok=True)
    durable.flush(file.parent)

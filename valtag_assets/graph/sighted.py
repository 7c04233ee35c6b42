"""What identities are found by, known by its content: while that is the same, so are they.

A change of a clean table may touch nothing that identity reads. Each part of one is looked into once, as long as it
stays what it is.
"""

from collections.abc import Mapping
from pathlib import Path

from valtag_assets.engine.identity.numbers import Numbers
from valtag_assets.engine.identity.sightings import sightings
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import clean_name
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.gates import Gate
from valtag_assets.warehouse.content_hash import read_contents

# By source and part: the digest of the clean rows, and that of what identity reads of them.
Sighted = Mapping[str, Mapping[str, Mapping[str, str]]]


def sighted(work: Work, resolved: Resolved, gate: Gate, known: Sighted) -> Sighted:
    """The parts of the clean tables that bear identifiers. ``known``: those of before, seen by the same rules."""
    identity = resolved.identity
    assert identity is not None
    found: dict[str, Mapping[str, Mapping[str, str]]] = {}
    for code in (code for code, borne in identity.fields.items() if borne):
        snapshot, before = gate.snapshots[clean_name(code)], known.get(code, {})
        parts: dict[str, Mapping[str, str]] = {}
        made: dict[str, Path] = {}
        for part, file in zip(snapshot.parts, snapshot.files, strict=True):
            if part.name in before and before[part.name]["clean"] == part.digest:
                parts[part.name] = before[part.name]
                continue
            work.files[clean_name(code)] = [file]
            kept = work.keep("sighted", sightings(resolved.sources[code], identity, Numbers(len(identity.kinds))))
            (made[part.name],) = work.files[kept.get_name()]
        contents, digests = read_contents([*made.values()]), {part.name: part.digest for part in snapshot.parts}
        for name, file in made.items():
            parts[name] = {"clean": digests[name], "seen": contents[file.name].hash}
            file.unlink()
        work.files[clean_name(code)] = snapshot.files
        found[code] = parts
    return found


def same_sightings(one: Sighted, other: Sighted) -> bool:
    """Whether identity read the same."""

    def seen(told: Sighted) -> Mapping[str, Mapping[str, str]]:
        return {code: {name: part["seen"] for name, part in parts.items()} for code, parts in told.items()}

    return seen(one) == seen(other)

"""Whose rules hold, worked out for all audiences of a run in one statement and kept for the others.

The table ``matches`` is a pure function of the rules and their inputs: a file beside the tiles, which may be
deleted at any time. Each audience looks for one that holds its own rule over its own inputs; the first that
finds none makes one for every audience whose inputs are there.
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

from valtag_assets.engine.persons import PERSONS, keyed_name
from valtag_assets.engine.preview import memberships_expression
from valtag_assets.engine.rules import column_inputs, rule_inputs, segments_name
from valtag_assets.engine.segments import matches_expression
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolved import ResolvedSegment
from valtag_assets.expression.rule import ResolvedRule, columns_read, members_read, rule_meaning
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import TIMELESS
from valtag_assets.graph.tags import wanted_tags
from valtag_assets.warehouse.derived import Derived
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

FOLDER = "matches"
FILE = "matches.parquet"


def wanted_by(setting: Setting, inputs: dict[str, frozenset[str]], as_of: date) -> list[Wanted]:
    """The tables to ask for, with the columns that must not be held; the population first."""
    found = [Wanted(PERSONS)]
    for name, columns in inputs.items():
        stage, code = name.split("/")
        if stage == "tags":
            found.append(wanted_tags(setting, code, as_of, columns))
        elif stage == "lists":
            found.append(Wanted(name, made_from=keyed_name(setting.resolved.sources[code])))
        else:
            found.append(Wanted(name, None if stage in TIMELESS else as_of, columns))
    return found


def segment_tables(setting: Setting, segment: ResolvedSegment) -> dict[str, frozenset[str]]:
    """Every table the audience reads beside the population, and which columns of tags and scores."""
    inputs = rule_inputs(setting.resolved, [segment.rule])
    more = column_inputs(setting.resolved, (segment.tags | segment.scores) - columns_read(segment.rule))
    for name, columns in more.items():
        inputs[name] = inputs.get(name, frozenset()) | columns
    inputs |= {f"segments/{code}": frozenset() for code in segment.segments}
    inputs |= {f"lists/{code}": frozenset() for code in segment.lists}
    return dict(sorted(inputs.items()))


def find_matches(
    setting: Setting,
    engine: Engine,
    segment: ResolvedSegment,
    as_of: date,
    among: Collection[str] | None,
    inputs: Mapping[str, Snapshot],
) -> Path | None:
    """The file of ``matches_table`` with the audience's column; None where working out its rule alone is right.

    ``among``: the audiences of this run (None: all). An audience made of other audiences is worked out alone,
    when those are published. ``inputs``: the snapshots the audience is made from, whatever is published meanwhile.
    """
    if setting.full or _rests_on_others(segment):
        return None
    own = _key(setting, segment.rule, as_of, inputs)
    folder = (FOLDER, str(as_of))
    for entry in setting.derived.entries(*folder):
        if entry.about["segments"].get(segment.code) == own:
            return entry.file(FILE)
    served, peers = _peers(setting, as_of, among)
    if peers.get(segment.code) != own or len(peers) == 1:
        return None
    return _make(setting, engine, as_of, peers, served, folder).file(FILE)


def all_memberships(setting: Setting, engine: Engine, as_of: date) -> Path | None:
    """The file of (person_id, segment) of every audience published for ``as_of``, made if it is not there."""
    served = {
        segments_name(code): snapshot
        for code in setting.resolved.segments
        if (snapshot := setting.warehouse.current(TableRef("segments", code), as_of)) is not None
    }
    if not served:
        return None
    key = hashlib.sha256(repr(sorted((name, s.id) for name, s in served.items())).encode()).hexdigest()[:32]

    def fill(into: Path) -> dict[str, object]:
        codes = [name.split("/")[1] for name in served]
        files = {name: snapshot.files for name, snapshot in served.items()}
        engine.write(memberships_expression(codes), files, into / FILE)
        return {"segments": {}}

    return setting.derived.make(FOLDER, str(as_of), key, fill=fill).file(FILE)


def _rests_on_others(segment: ResolvedSegment) -> bool:
    return bool(members_read(segment.rule, "segment"))


def _key(setting: Setting, rule: ResolvedRule, as_of: date, inputs: Mapping[str, Snapshot]) -> str:
    """The rule and those of ``inputs`` it reads."""
    read = (PERSONS, *rule_inputs(setting.resolved, [rule]))
    hashes = sorted((name, inputs[name].content_hash) for name in read)
    return hashlib.sha256(repr((rule_meaning(rule), as_of, hashes)).encode()).hexdigest()


def _peers(
    setting: Setting, as_of: date, among: Collection[str] | None
) -> tuple[dict[str, Snapshot], dict[str, str]]:
    """What is served now, and the audiences that can be worked out together from it, each with its key.

    Everything is asked for once: what another run publishes meanwhile must not be mixed in.
    """
    rules = {
        code: segment.rule
        for code, segment in setting.resolved.segments.items()
        if not _rests_on_others(segment) and (among is None or code in among)
    }
    gate = ask(setting.warehouse, wanted_by(setting, rule_inputs(setting.resolved, rules.values()), as_of))
    served = dict(gate.snapshots)
    found = {}
    for code, rule in rules.items():
        read = rule_inputs(setting.resolved, [rule])
        sound = all(name in served and not columns & served[name].held for name, columns in read.items())
        if sound and PERSONS in served:
            found[code] = _key(setting, rule, as_of, served)
    return served, found


def _make(
    setting: Setting,
    engine: Engine,
    as_of: date,
    keys: dict[str, str],
    served: Mapping[str, Snapshot],
    folder: tuple[str, str],
) -> Derived:
    segments = [setting.resolved.segments[code] for code in keys]
    files = {name: snapshot.files for name, snapshot in served.items()}

    def fill(into: Path) -> dict[str, object]:
        engine.write(matches_expression(setting.resolved, segments, as_of), files, into / FILE)
        return {"segments": keys}

    name = hashlib.sha256(repr(sorted(keys.items())).encode()).hexdigest()[:32]
    return setting.derived.make(*folder, name, fill=fill)

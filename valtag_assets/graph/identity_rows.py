"""Stage *identity*, with identity.yaml: the rows of each source with the person each belongs to."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.access import field_needs
from valtag_assets.engine.identity.keying import keyed_rows, one_row_each, without_lost_keys
from valtag_assets.engine.identity.tables import KEYS, SUCCESSORS, identity_table
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import OWNER, PERSON, clean_name, keyed_name, rows_table
from valtag_assets.engine.session import Engine
from valtag_assets.engine.vault import KEY, VAULT
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Gate, Wanted, ask
from valtag_assets.graph.identity_page import rows_picture
from valtag_assets.graph.identity_tables import GROUP
from valtag_assets.graph.metadata import describe, source_schema
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.graph.vaults import every_vault, vault_of
from valtag_assets.quality.column import HIDDEN_LEVELS
from valtag_assets.quality.identity import keyed_verdicts
from valtag_assets.spec.types import INTEGER, TEXT
from valtag_assets.warehouse.content_hash import read_contents
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

# Raised when rows are keyed by other rules, so that all parts are made anew.
FORM = 1
_COUNTS = ("clean", "keyed", "merged", "nobody", "orphans")


def keyed_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per source with identifiers; none without identity.yaml."""
    return [_keyed_asset(setting, source) for source in _sources(setting)]


def keyed_plans(setting: Setting) -> Iterator[Plan]:
    """How each of them is made."""
    return (keyed_plan(setting, source) for source in _sources(setting))


def _sources(setting: Setting) -> list[ResolvedSource]:
    return [source for source in setting.resolved.sources.values() if source.keyed]


def _keyed_asset(setting: Setting, source: ResolvedSource) -> dg.AssetsDefinition:
    key = asset_key(keyed_name(source))
    about = "清洁数据及每行所属的人 · The clean rows, and whose each is"

    @dg.asset(
        key=key,
        deps=[asset_key(clean_name(source.code)), *map(asset_key, _reads(setting, source))],
        group_name=GROUP,
        description=describe(source.spec.title, about),
        owners=[setting.resolved.catalog.owner_of(source.spec)],
        kinds={setting.engines.of(keyed_name(source)), "parquet"},
        tags={"family": source.spec.family, "kind": source.spec.kind},
        code_version=_meaning(setting, source),
        metadata={"dagster/column_schema": _schema(source)},
        automation_condition=dg.AutomationCondition.eager(),
        check_specs=check_specs(
            key, lambda _: [], source.columns, keyed_verdicts(setting.resolved, source, dict.fromkeys(_COUNTS, 0))
        ),
        output_required=False,
    )
    def keyed(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        yield from build(context, setting, engine, lambda: keyed_plan(setting, source))

    return keyed


def keyed_plan(setting: Setting, source: ResolvedSource) -> Plan:
    """How the keyed rows of ``source`` are made: of a fact, part by part."""
    reads = _reads(setting, source)
    gate = ask(setting.warehouse, [Wanted(clean_name(source.code)), *map(Wanted, reads)])
    in_parts = source.spec.kind == "fact"
    hidden = {name for name, need in field_needs(setting.resolved, source).items() if need.level in HIDDEN_LEVELS}

    def write(engine: Engine, into: Path) -> Written:
        with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
            files: dict[str, Sequence[Path]] = {name: gate.snapshots[name].files for name in reads}
            if _identity(setting).sealed:
                known = vault_of(setting, gate.snapshots[clean_name(source.code)])
                files |= {KEY: [setting.tokens.table(Path(folder))], VAULT: known or every_vault(setting)}
            work = Work(engine, Path(folder), files)
            return _Keying(setting, source, gate, work, into).write()

    return Plan(
        table=TableRef.parse(keyed_name(source)),
        as_of=None,
        meaning=_meaning(setting, source),
        gate=gate,
        key=ORIGIN_COLUMNS,
        columns={**source.columns, ORIGIN_COLUMNS[0]: TEXT, ORIGIN_COLUMNS[1]: INTEGER, OWNER: TEXT},
        private=frozenset({OWNER, *hidden, *_identifiers(setting, source)}),
        write=write,
        expectations=lambda _, __: [],
        verdicts=lambda written, _: keyed_verdicts(setting.resolved, source, written.metrics["rows"]),
        in_parts=in_parts,
        picture=rows_picture,
    )


def _schema(source: ResolvedSource) -> dg.TableSchema:
    whose = dg.TableColumn(OWNER, "text", description="所属的人 · Whose row it is")
    return dg.TableSchema([*source_schema(source).columns, whose])


def _reads(setting: Setting, source: ResolvedSource) -> list[str]:
    """The tables of identities that its rows are keyed by."""
    return [KEYS, SUCCESSORS] if source.code in _identity(setting).given else [KEYS]


def _identity(setting: Setting) -> ResolvedIdentity:
    identity = setting.resolved.identity
    assert identity is not None
    return identity


def _identifiers(setting: Setting, source: ResolvedSource) -> list[str]:
    return [field for field, _ in _identity(setting).fields[source.code]]


def _meaning(setting: Setting, source: ResolvedSource) -> str:
    identity = _identity(setting)
    fields = [(field, identity.kinds[slot.rank].model_dump()) for field, slot in identity.fields[source.code]]
    order = source.spec.deduplicate.order if source.spec.deduplicate else ()
    given = identity.given.get(source.code)
    return meaning_of("keyed", FORM, source.spec.kind, source.spec.time, order, fields, *([given] if given else []))


class _Keying:
    """One making of a keyed table."""

    def __init__(self, setting: Setting, source: ResolvedSource, gate: Gate, work: Work, into: Path) -> None:
        self.source, self.work, self.into = source, work, into
        self.identity, self.meaning = _identity(setting), _meaning(setting, source)
        self.clean, self.keys = gate.snapshots[clean_name(source.code)], gate.snapshots[KEYS]
        earlier = None if setting.full else setting.warehouse.current(TableRef.parse(keyed_name(source)))
        self.earlier = earlier if earlier is not None and damage(earlier) is None else None

    def write(self) -> Written:
        """The keyed rows; of a fact only the parts that changed, in content, since the last time."""
        counts: dict[str, Any] = {}
        if self.source.spec.kind == "fact":
            shared, counts = self._facts()
        else:
            shared, counts["all"] = {}, self._whole()
        rows = {name: sum(part[name] for part in counts.values()) for name in (*_COUNTS, "unmatched")}
        made_from = {part.name: part.digest for part in self.clean.parts}
        told: dict[str, Any] = {"meaning": self.meaning, "keys": self.keys.content_hash, "parts": made_from}
        told["unmatched"] = rows.pop("unmatched")
        return Written({"rows": rows, "counts": counts, "keying": told}, self.clean.data_until, shared)

    def _facts(self) -> tuple[dict[str, Snapshot], dict[str, Any]]:
        known = {} if self.earlier is None else {part.name: part.digest for part in self.earlier.parts}
        shared: dict[str, Snapshot] = {}
        counts: dict[str, Any] = {}
        made: list[Path] = []
        for part, file in zip(self.clean.parts, self.clean.files, strict=True):
            if self.earlier is not None and self._still(part.name, part.digest):
                shared[part.name], counts[part.name] = self.earlier, self.earlier.metrics["counts"][part.name]
                continue
            made.append(self.into / part.name)
            self.work.files[clean_name(self.source.code)] = [file]
            rows = keyed_rows(self.source, self.identity)
            order = [OWNER, str(self.source.spec.time), *ORIGIN_COLUMNS]
            self.work.write(rows.order_by(order), made[-1])
            counts[part.name] = self._counted(made[-1], {"clean": part.rows, "merged": 0, "nobody": 0})
        for name, content in read_contents(made).items():
            # Other keys, but the same persons: the part of before will do, and nobody downstream reads it again.
            if self.earlier is not None and known.get(name) == content.hash:
                (self.into / name).unlink()
                shared[name] = self.earlier
        return shared, counts

    def _still(self, name: str, digest: str) -> bool:
        """Whether a part made before is what it would be made anew."""
        assert self.earlier is not None
        told = self.earlier.metrics["keying"]
        same = told["meaning"] == self.meaning and told["keys"] == self.keys.content_hash
        return bool(same and told["parts"].get(name) == digest)

    def _whole(self) -> dict[str, int]:
        """A master or list, in one part. A master has a row per person."""
        into = self.into / "part-0.parquet"
        self.work.files[clean_name(self.source.code)] = self.clean.files
        rows = keyed_rows(self.source, self.identity)
        if self.source.spec.kind != "master":
            self.work.write(rows.order_by([OWNER, *ORIGIN_COLUMNS]), into)
            return self._counted(into, {"clean": self.clean.rows, "merged": 0, "nobody": 0})
        found = self.work.keep("keyed", rows)
        self.work.write(one_row_each(self.source, without_lost_keys(self.source, self.identity, found)), into)
        owner = found[OWNER]
        told = found.aggregate(clean=found.count(), known=owner.count(), persons=owner.nunique())
        numbers = self.work.rows(told)[0]
        merged, nobody = numbers["known"] - numbers["persons"], numbers["clean"] - numbers["known"]
        return self._counted(into, {"clean": self.clean.rows, "merged": merged, "nobody": nobody})

    def _counted(self, file: Path, numbers: Mapping[str, int]) -> dict[str, int]:
        """``numbers``, and of the rows in ``file``: how many, whose person has no key, how many are nobody's."""
        self.work.files[keyed_name(self.source)] = [file]
        rows = rows_table(self.source)
        persons = identity_table(KEYS).select(_known=PERSON).distinct()
        both = rows.left_join(persons, rows[OWNER] == persons["_known"])
        lost = (both[OWNER].notnull() & both["_known"].isnull()).cast("int64").sum()
        told = both.aggregate(keyed=both.count(), orphans=lost, unmatched=both[OWNER].isnull().cast("int64").sum())
        found = {name: int(number or 0) for name, number in self.work.rows(told)[0].items()}
        return {**numbers, **found, "unmatched": found["unmatched"] + numbers["nobody"]}

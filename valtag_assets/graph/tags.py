"""Stage *tags*: one asset per category, each with its own freshness policy and partitions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.persons import PERSON, PERSONS, keyed_names
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import PREVIOUS, category_expression, tags_name
from valtag_assets.expression.resolved import ResolvedCategory, ResolvedScore, code_version
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import Gate, Wanted, ask
from valtag_assets.graph.merging import Merging, merging_metadata
from valtag_assets.graph.metadata import (
    category_lineage,
    category_schema,
    describe,
    end_of,
    tag_dictionary,
)
from valtag_assets.graph.plots import category_plot
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import (
    as_of_partitions,
    asset_key,
    automation,
    freshness,
    is_partitioned,
    refresh_of,
    run_as_of,
)
from valtag_assets.graph.successors import successor_deps, wanted_successors
from valtag_assets.quality.column import HIDDEN_LEVELS, rule_at
from valtag_assets.quality.plan import category_expectations
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

GROUP = "4_tags"


def read_categories(setting: Setting, score: ResolvedScore) -> dict[str, frozenset[str]]:
    """The categories a score reads, with the tags of each."""
    found: dict[str, set[str]] = {}
    for tag in score.tags:
        found.setdefault(setting.resolved.category_of(tag), set()).add(tag)
    return {code: frozenset(tags) for code, tags in sorted(found.items())}


def wanted_tags(setting: Setting, category: str, as_of: date, columns: frozenset[str]) -> Wanted:
    """A category as an input: the exact as-of, or the newest before it for categories without partitions."""
    exact = is_partitioned(refresh_of(setting, category))
    return Wanted(tags_name(category), as_of, columns, or_before=not exact)


def tag_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per category of the catalog."""
    return [_category_asset(setting, category) for category in setting.resolved.categories.values()]


def _category_asset(setting: Setting, category: ResolvedCategory) -> dg.AssetsDefinition:
    resolved, spec = setting.resolved, setting.resolved.catalog.categories[category.code].spec
    refresh = refresh_of(setting, category.code)
    key = asset_key(tags_name(category.code))
    upstream = [PERSONS, *keyed_names(resolved, category.sources), *map(tags_name, category.categories)]
    # A backfill in the UI then goes through the days in order.
    yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    itself = [dg.AssetDep(key, partition_mapping=yesterday)] if keeps_last(category) else []

    @dg.asset(
        key=key,
        deps=[*map(asset_key, upstream), *itself, *(successor_deps(setting) if itself else [])],
        group_name=GROUP,
        description=describe(spec.title, spec.meaning),
        owners=[resolved.catalog.owner_of(spec)],
        kinds={setting.engines.of(tags_name(category.code)), "parquet"},
        tags={"category": category.code, "refresh": refresh.schedule},
        code_version=_meaning(setting, category),
        partitions_def=as_of_partitions(setting) if is_partitioned(refresh) else None,
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={
            "dagster/column_schema": category_schema(resolved, category),
            "dagster/column_lineage": category_lineage(resolved, category),
            "tag dictionary 标签字典": dg.MetadataValue.md(tag_dictionary(resolved, category.tags)),
        },
        check_specs=check_specs(
            key,
            lambda previous: category_expectations(resolved, category, setting.last_as_of(), previous),
            {tag.code: tag.type for tag in category.tags},
            [
                *_age_verdicts(setting, category, setting.last_as_of(), Written()),
                *_resting_verdicts(setting, category, frozenset()),
            ],
        ),
        output_required=False,
    )
    def tags(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: category_plan(setting, category, as_of))

    return tags


def _meaning(setting: Setting, category: ResolvedCategory) -> str:
    spec = setting.resolved.catalog.categories[category.code].spec
    checks = [(tag.code, tag.spec.checks, tag.spec.domain, tag.spec.access) for tag in category.tags]
    return meaning_of(category.meaning, checks, spec.laws, spec.checks)


def tag_meanings(category: ResolvedCategory) -> dict[str, str]:
    """What each tag of the category means, as a short hash: kept with a snapshot, to say later what has changed."""
    return {tag.code: code_version(tag.meaning) for tag in category.tags}


def category_plan(setting: Setting, category: ResolvedCategory, as_of: date) -> Plan:
    """How the category's table of ``as_of`` is made."""
    resolved = setting.resolved
    others = category.categories
    wanted = [Wanted(PERSONS), *map(Wanted, keyed_names(resolved, category.sources))]
    # Held tags of other categories hold what rests on them here, tag by tag, not the whole category.
    wanted += [wanted_tags(setting, code, as_of, frozenset()) for code in others]
    wanted += wanted_successors(setting) if keeps_last(category) else []
    before, missing = _before(setting, category, as_of)
    gate = ask(setting.warehouse, wanted)
    gate = replace(gate, faults=(*gate.faults, *missing))

    def write(engine: Engine, into: Path) -> Written:
        kept = [name for name, _ in before.columns] if before is not None else False
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        if before is not None:
            inputs[PREVIOUS] = before.files
        merging = Merging.of(setting, engine, category, gate, as_of)
        expression = category_expression(resolved, category, as_of, previous=kept, layers=merging.layers)
        engine.write(expression, {**inputs, **merging.inputs}, into / "part-0.parquet")
        # Not among the snapshot's inputs: these hold what they name, and every day would hold the day before.
        kept_from = {"kept_from": before.id} if before is not None else {}
        metrics = {"sql": engine.sql(expression), "merging": merging.told, **kept_from}
        metrics["tags"] = tag_meanings(category)
        return Written(metrics, data_until(gate, as_of))

    def picture(snapshot: Snapshot) -> dict[str, Any]:
        found: dict[str, Any] = {"plot 分布": category_plot(category, snapshot)}
        found["SQL"] = dg.MetadataValue.md(f"```sql\n{snapshot.metrics.get('sql', '')}\n```")
        if snapshot.metrics.get("merging"):
            found |= merging_metadata(snapshot.metrics["merging"])
        return found

    return Plan(
        table=TableRef("tags", category.code),
        as_of=as_of,
        meaning=_meaning(setting, category),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT, **{tag.code: tag.type for tag in category.tags}},
        private=frozenset(t.code for t in category.tags if t.spec.access in HIDDEN_LEVELS) | {PERSON},
        write=write,
        expectations=lambda written, previous: category_expectations(resolved, category, as_of, previous),
        verdicts=lambda written, audited: [
            *_age_verdicts(setting, category, as_of, written),
            *_resting_verdicts(setting, category, _held_now(gate, audited)),
        ],
        fingerprint=before.content_hash if before else "",
        joined={tags_name(code): gate.snapshots[tags_name(code)].files for code in others if gate.open},
        tokens=frozenset(tag.code for tag in category.tags if tag.vaulted),
        picture=picture,
    )


def _age_verdicts(setting: Setting, category: ResolvedCategory, as_of: date, written: Written) -> list[Verdict]:
    """Whether the data are young enough for the category's ``max_age``; no verdict when it states none."""
    entry = setting.resolved.catalog.categories[category.code]
    refresh = refresh_of(setting, category.code)
    if refresh.max_age is None:
        return []
    age = None if written.data_until is None else max(0, (as_of - written.data_until.date()).days)
    detail: dict[str, Any] = {
        "title": {
            "zh": f"数据年龄不超过 {refresh.max_age} 天",
            "en": f"the data are at most {refresh.max_age} days old",
        },
        "rule": rule_at(entry, setting.resolved.catalog.root, "refresh", "max_age"),
        "observed": age,
        "expected": refresh.max_age,
        "sample": [],
    }
    # A category of masters alone has no events, and so no age.
    passed = age is None or age <= refresh.max_age
    return [Verdict("data_age", None, "error", passed, "table", detail=detail)]


def _held_now(gate: Gate, audited: Sequence[Verdict]) -> frozenset[str]:
    """The tags held in the inputs and by the audit."""
    found = {v.column for v in audited if v.holds == "tag" and not v.passed and v.column is not None}
    return frozenset(found).union(*(snapshot.held for snapshot in gate.snapshots.values()))


def _resting_verdicts(setting: Setting, category: ResolvedCategory, held: frozenset[str]) -> list[Verdict]:
    """A band or computed tag is held with any tag it rests on, through as many steps as it takes."""
    known, found = set(held), []
    for tag in category.tags:
        if not tag.tags:
            continue
        bad = sorted(tag.tags & known)
        known |= {tag.code} if bad else set()
        detail: dict[str, Any] = {
            "title": {
                "zh": f"{tag.title.zh}：所依据的标签均未被暂停",
                "en": f"{tag.title.en}: rests on no held tag",
            },
            "rule": rule_at(tag.entry, setting.resolved.catalog.root, "code"),
            "observed": ", ".join(bad) or None,
            "expected": None,
            "sample": [],
        }
        found.append(Verdict(f"{tag.code}.rests_on", tag.code, "error", not bad, "tag", detail=detail))
    return found


def keeps_last(category: ResolvedCategory) -> bool:
    """Whether a tag of the category takes its last value where it has none: it then rests on the day before."""
    return any(tag.spec.null_policy == "keep_last" for tag in category.tags)


def missing_before(setting: Setting, category: ResolvedCategory, as_of: date) -> list[date]:
    """The as-ofs before ``as_of`` that must be computed first, in order.

    A category that keeps last values is a chain: each as-of rests on exactly the one before, down to the
    project's start, so that a value never depends on which as-ofs somebody happened to compute.
    """
    if not keeps_last(category):
        return []
    table, start, found = TableRef("tags", category.code), setting.resolved.catalog.project.start, []
    day = as_of - timedelta(days=1)
    while day >= start and _link(setting, table, day) is None:
        found.append(day)
        day -= timedelta(days=1)
    return found[::-1]


def _link(setting: Setting, table: TableRef, as_of: date) -> Snapshot | None:
    blocked = setting.warehouse.blocked(table, as_of) is not None
    return None if blocked else setting.warehouse.current(table, as_of)


def _before(setting: Setting, category: ResolvedCategory, as_of: date) -> tuple[Snapshot | None, Sequence[str]]:
    """The snapshot from which kept tags take their last value, and why it can't be had."""
    if not keeps_last(category) or as_of <= setting.resolved.catalog.project.start:
        return None, ()
    found = _link(setting, TableRef("tags", category.code), as_of - timedelta(days=1))
    if found is not None:
        return found, ()
    first = missing_before(setting, category, as_of)[0]
    name = tags_name(category.code)
    why = f"{name} keeps last values, so {as_of} rests on the day before: valtag run --from {first} --to {as_of}"
    return None, (why,)


def data_until(gate: Gate, as_of: date) -> datetime | None:
    """The age of a table is the age of its oldest input; events after the as-of don't count."""
    seen = [snapshot.data_until for snapshot in gate.snapshots.values() if snapshot.data_until is not None]
    return min([*seen, end_of(as_of)]) if seen else None

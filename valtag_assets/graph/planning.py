"""What a run would do, said before it does anything: which tables it computes, why, and whom that touches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

from valtag_assets.engine.incremental import layers, missing_tiles, parts_of
from valtag_assets.engine.persons import keyed_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.resolved import ResolvedCategory
from valtag_assets.graph.merging import merged_groups
from valtag_assets.graph.publishing import Plan, unchanged
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import is_partitioned, refresh_of
from valtag_assets.graph.tags import tag_meanings
from valtag_assets.graph.unchanged import plans
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

Action = Literal["keep", "compute"]


@dataclass(frozen=True)
class TagChanges:
    """How a category's tags differ from those last published."""

    new: Sequence[str] = ()
    changed: Sequence[str] = ()
    removed: Sequence[str] = ()

    @property
    def any(self) -> bool:
        return bool(self.new or self.changed or self.removed)


@dataclass(frozen=True)
class Step:
    """One table: whether it would be computed, and why."""

    table: str
    action: Action
    why: Sequence[str] = ()
    tags: TagChanges = field(default_factory=TagChanges)


@dataclass(frozen=True)
class Tiles:
    """Tiles that would be made: of one fact, for these tags, for these months."""

    fact: str
    tags: Sequence[str]
    months: Sequence[str]


@dataclass(frozen=True)
class Planned:
    """What a run of ``as_of`` would do. ``touched``: the audiences that read a tag whose meaning is another now."""

    as_of: date
    steps: Sequence[Step]
    tiles: Sequence[Tiles]
    touched: Mapping[str, Sequence[str]]

    @property
    def computed(self) -> list[Step]:
        return [step for step in self.steps if step.action == "compute"]

    @property
    def catalog_changed(self) -> bool:
        """Whether something that was published before means something else now."""
        return any(step.tags.any or MEANING in step.why for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        return {"as_of": str(self.as_of), **{k: v for k, v in asdict(self).items() if k != "as_of"}}


MEANING = "its meaning in the catalog has changed"


def plan_run(setting: Setting, as_of: date) -> Planned:
    """What a run of ``as_of`` would do, from catalog, source files and what is published; computes nothing."""
    steps: dict[str, Step] = {}
    for plan in plans(setting, as_of):
        steps[plan.table.key] = _step(setting, plan, steps)
    touched = {}
    changed = {code for step in steps.values() for code in (*step.tags.changed, *step.tags.removed)}
    resting = _resting(setting, changed)
    for code, segment in setting.resolved.segments.items():
        read = sorted(segment.tags & resting)
        if read:
            touched[code] = read
    return Planned(as_of, tuple(steps.values()), tuple(_tiles(setting, steps)), touched)


def _step(setting: Setting, plan: Plan, before: Mapping[str, Step]) -> Step:
    last = setting.warehouse.current(plan.table, plan.as_of) or setting.warehouse.latest(plan.table)
    tags = _tag_changes(setting, plan.table, last)
    computed = [key for key in plan.gate.wanted if key in before and before[key].action == "compute"]
    if unchanged(setting, plan) is not None and not computed:
        return Step(plan.table.key, "keep")
    return Step(plan.table.key, "compute", tuple(_reasons(setting, plan, last, computed)), tags)


def _reasons(setting: Setting, plan: Plan, last: Snapshot | None, computed: Sequence[str]) -> Iterator[str]:
    """Why the table would be computed, in words."""
    current = setting.warehouse.current(plan.table, plan.as_of)
    if last is None:
        yield "never published"
    elif current is None:
        yield f"not yet published for {plan.as_of}"
    blocked = setting.warehouse.blocked(plan.table, plan.as_of)
    if blocked is not None:
        yield f"{blocked.outcome} last time: {blocked.reason}"
    if last is not None and last.metrics.get("meaning") != plan.meaning:
        yield MEANING
    if computed:
        yield f"rests on {', '.join(computed)}"
    elif current is not None and blocked is None and current.metrics.get("meaning") == plan.meaning:
        yield "a full run was asked for" if setting.full else "its inputs have changed"


def _tag_changes(setting: Setting, table: TableRef, last: Snapshot | None) -> TagChanges:
    category = setting.resolved.categories.get(table.name) if table.stage == "tags" else None
    if category is None or last is None:
        return TagChanges()
    then, now = last.metrics.get("tags", {}), tag_meanings(category)
    return TagChanges(
        new=tuple(code for code in now if code not in then),
        changed=tuple(code for code in now if code in then and then[code] != now[code]),
        removed=tuple(code for code in then if code not in now),
    )


def _resting(setting: Setting, changed: set[str]) -> set[str]:
    """``changed`` and every tag that rests on one of them, through as many steps as it takes."""
    known = set(changed)
    while True:
        more = {code for code, tag in setting.resolved.tags.items() if tag.tags & known} - known
        if not more:
            return known
        known |= more


def _tiles(setting: Setting, steps: Mapping[str, Step]) -> Iterator[Tiles]:
    """The tiles the computed daily categories lack, of the clean facts as they are published now."""
    wanted = [
        category
        for code, category in setting.resolved.categories.items()
        if is_partitioned(refresh_of(setting, code)) and steps[tags_name(code)].action == "compute"
    ]
    if not wanted or setting.full:
        return
    for group in merged_groups(setting):
        clean = setting.warehouse.latest(TableRef.parse(keyed_name(group.source)))
        for layer in layers(setting.derived, group) if clean is not None else ():
            assert clean is not None
            if _serves(layer.group.tags, wanted):
                months = missing_tiles(setting.derived, layer, parts_of(clean))
                if months:
                    yield Tiles(group.source.code, tuple(tag.code for tag in layer.group.tags), tuple(months))


def _serves(tags: Sequence[Any], categories: Sequence[ResolvedCategory]) -> bool:
    codes = {category.code for category in categories}
    return any(tag.category in codes for tag in tags)

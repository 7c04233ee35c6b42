"""Merged from tiles equals computed from all rows: over random histories with late, corrected, deleted and
duplicated rows, in any order of as-ofs, cell for cell."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.incremental import Incremental, Part, file_of, layers
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.engine.tags import category_expression, checkpoint_name
from valtag_assets.engine.tiles import Layer, groups_of
from valtag_assets.expression.resolved import Resolved, ResolvedTag
from valtag_assets.warehouse.content_hash import read_contents
from valtag_assets.warehouse.derived import DerivedFiles
from valtag_tests import kit
from valtag_tests.chance import MORE
from valtag_tests.engine.test_facts import PERSONS_THERE, WITHOUT_SHRINKING, every_tag, histories

Rows = list[dict[str, Any]]


class Shop:
    """One catalog, its fact as monthly clean parts, and both ways to compute a category of it."""

    def __init__(self, folder: Path, resolved: Resolved, source: str = "orders") -> None:
        self.folder, self.resolved, self.source = folder, resolved, source
        self.files = DerivedFiles(folder / "derived")
        self.persons = kit.write_persons(folder, [*PERSONS_THERE, "7"])
        self.persons_order = sorted([*PERSONS_THERE, "7"], key=str.encode)
        self.parts: list[Part] = []
        self.numbers = iter(range(10**6))

    def write(self, rows: Rows, time: str = "paid_at") -> None:
        """The clean parts of ``rows``, one per month, as the clean stage publishes them."""
        months: dict[str, Rows] = {}
        for row in rows:
            if row.get(time) is not None:
                months.setdefault(row[time].strftime("%Y-%m"), []).append(row)
        columns = self.resolved.sources[self.source].columns
        columns = {**columns, "_file": kit.DataType("text"), "_row": kit.DataType("integer")}
        self.parts = []
        for month, own in sorted((months or {"none": []}).items()):
            file = kit.write_rows(self.folder / f"clean/{next(self.numbers)}.parquet", columns, own)
            self.parts.append(Part(f"part-{month}.parquet", file, read_contents([file])[file.name].hash))

    def merged(self, tags: Sequence[ResolvedTag], as_of: date) -> pa.Table:
        with engine() as running:
            work = Incremental(running, self.files)
            found = [layer for group in groups_of(self.resolved, tags) for layer in layers(self.files, group)]
            inputs: dict[str, Any] = {PERSONS: self.persons}
            for layer in found:
                inputs[checkpoint_name(layer)] = [file_of(layer, work.checkpoint(layer, self.parts, as_of))]
            self.told = work.told
            return self.computed(running, tags, as_of, inputs, found)

    def full(self, tags: Sequence[ResolvedTag], as_of: date) -> pa.Table:
        with engine() as running:
            inputs = {PERSONS: self.persons, clean_name(self.source): [part.file for part in self.parts]}
            return self.computed(running, tags, as_of, inputs, ())

    def computed(
        self, running: DuckDBEngine, tags: Sequence[ResolvedTag], as_of: date, inputs: Any, layers: Sequence[Layer]
    ) -> pa.Table:
        category = replace(self.resolved.categories["everything"], tags=tuple(tags))
        found = category_expression(self.resolved, category, as_of, layers=layers)
        running.write(found, inputs, self.folder / "out.parquet")
        return pq.read_table(self.folder / "out.parquet")


@contextmanager
def engine() -> Iterator[DuckDBEngine]:
    with kit.connected() as connection:
        connection.execute("SET threads = 2")
        yield DuckDBEngine(connection)


DAYS = [date(2024, 2, 28) + timedelta(days=n) for n in range(4)]
FAR_DAYS = [
    date(2023, 12, 31),
    date(2024, 1, 1),
    date(2024, 1, 30),
    date(2024, 3, 31),
    date(2024, 4, 1),
    date(2025, 3, 1),
]
CODES = [tag.code for tag in every_tag().categories["everything"].tags]
CODES += [tag.code for tag in every_tag().categories["filtered"].tags]


def some_tags(codes: list[str]) -> tuple[ResolvedTag, ...]:
    return tuple(every_tag().tags[code] for code in sorted(set(codes)))


def changed(draw: Any, rows: Rows) -> Rows:
    """The history as another export of it tells it: rows added late, taken back, corrected, doubled."""
    more = draw(histories(DAYS[1]).map(lambda found: found[:8]))
    gone = draw(st.sets(st.integers(0, max(0, len(rows) - 1)), max_size=4))
    left = [row for place, row in enumerate(rows) if place not in gone]
    fixes = draw(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["amount", "brand", "member"])), max_size=3))
    for place, column in fixes:
        if place < len(left):
            new = {"amount": Decimal("7.77"), "brand": "茅台", "member": "p1"}[column]
            left[place] = {**left[place], column: new}
    return left + more


@given(data=st.data())
@settings(max_examples=8 * MORE, phases=WITHOUT_SHRINKING, suppress_health_check=list(HealthCheck))
def test_any_history_in_any_order_of_days_and_catalogs_equals_full_recompute(data: st.DataObject) -> None:
    codes = st.lists(st.sampled_from(CODES), min_size=1, max_size=6)
    rows = data.draw(histories(DAYS[1]))
    tags = some_tags(data.draw(codes))
    with TemporaryDirectory() as name:
        shop = Shop(Path(name), every_tag())
        shop.write(rows)
        for _ in range(4):
            as_of = data.draw(st.sampled_from(DAYS) | st.sampled_from(FAR_DAYS))
            same(shop, tags, as_of)
            if data.draw(st.booleans()):
                rows = changed(data.draw, rows)
                shop.write(rows)
            if data.draw(st.integers(0, 3)) == 0:
                tags = some_tags([*data.draw(codes), *(tag.code for tag in tags[:2])])


def same(shop: Shop, tags: Sequence[ResolvedTag], as_of: date) -> None:
    """Both ways give equal cells."""
    got, wanted = shop.merged(tags, as_of), shop.full(tags, as_of)
    for column in wanted.column_names:
        assert got[column].to_pylist() == wanted[column].to_pylist(), (
            column,
            as_of,
            [told.how for told in shop.told],
        )


def steady(days: int, persons: int = 3) -> Rows:
    """A history with a row per person and day, ending on the last of February."""
    last = datetime(2024, 2, 29, 12)
    return [
        {
            "member": f"p{person}",
            "number": day % 7,
            "paid_at": last - timedelta(days=day),
            "amount": Decimal(day % 5),
            "ratio": day / 8,
            "quantity": day % 3,
            "brand": "aBbé"[(day + person) % 4],
            "channel": "app",
            "gift": day % 2 == 0,
            "due": last.date(),
        }
        for day in range(days)
        for person in range(persons)
    ]


KINDS = ["row_count", "sum_amount", "min_amount", "last_brand", "top_brand", "brand_count", "median_amount"]


def kinds(*windows: str) -> tuple[ResolvedTag, ...]:
    """One tag of each way of merging, in each window."""
    return some_tags([f"everything_{code}{window}" for code in KINDS for window in windows])


def test_every_window_ends_right_in_31_days_without_a_row(tmp_path: Path) -> None:
    shop, tags = Shop(tmp_path, every_tag()), kinds("", "_1d", "_30d", "_before_30d", "_mtd")
    shop.write(steady(3))
    for day in (0, 1, 2, 3, 16, 29, 30, 31):
        same(shop, tags, date(2024, 2, 29) + timedelta(days=day))
    row = shop.merged(tags, date(2024, 3, 31)).to_pylist()[shop.persons_order.index("p0")]
    assert (row["everything_row_count"], row["everything_row_count_30d"], row["everything_top_brand_30d"]) == (
        3,
        0,
        None,
    )


def test_a_new_day_makes_one_tile_and_touches_only_who_moved(tmp_path: Path) -> None:
    shop, tags = Shop(tmp_path, every_tag()), kinds("", "_30d")
    rows = steady(100)
    shop.write(rows)
    shop.merged(tags, date(2024, 2, 29))
    one = {**rows[0], "paid_at": datetime(2024, 3, 1, 9), "member": "p0", "number": 99}
    shop.write([*rows, one])
    same(shop, tags, date(2024, 3, 1))
    for told in shop.told:
        assert told.how == "moved from 2024-02-29"
        assert told.tiles_made == ["2024-03"]
    # p0 has a new row; 2024-01-31 leaves the last 30 days for all three.
    assert max(told.touched or 0 for told in shop.told if "everything_row_count" in told.tags) == 3


def test_a_late_row_makes_the_tile_of_its_month_alone(tmp_path: Path) -> None:
    shop, tags = Shop(tmp_path, every_tag()), kinds("", "_30d")
    rows = steady(100)
    shop.write(rows)
    shop.merged(tags, date(2024, 2, 29))
    shop.write([*rows, {**rows[0], "paid_at": datetime(2023, 12, 3), "amount": Decimal(-50)}])
    same(shop, tags, date(2024, 2, 29))
    assert {tuple(told.tiles_made) for told in shop.told} == {("2023-12",)}
    assert {told.touched for told in shop.told} == {1}


def test_one_as_of_restated_again_and_again_never_loses_the_checkpoint_just_made(tmp_path: Path) -> None:
    shop, tags = Shop(tmp_path, every_tag()), some_tags(CODES[:3])
    for version in range(12):
        rows = steady(5)
        rows[-1]["amount"] += version
        shop.write(rows)
        same(shop, tags, DAYS[0])


def test_the_same_history_in_another_order_of_rows_makes_nothing_new(tmp_path: Path) -> None:
    shop, tags = Shop(tmp_path, every_tag()), kinds("", "_30d")
    shop.write(steady(100))
    shop.merged(tags, date(2024, 2, 29))
    shop.write(steady(100)[::-1])
    shop.merged(tags, date(2024, 2, 29))
    assert {told.how for told in shop.told} == {"kept"}


def test_a_new_tag_builds_its_own_tiles_and_leaves_the_others(tmp_path: Path) -> None:
    shop = Shop(tmp_path, every_tag())
    shop.write(steady(100))
    shop.merged(some_tags(["everything_sum_amount", "everything_top_brand"]), date(2024, 2, 29))
    more = some_tags(["everything_sum_amount", "everything_top_brand", "everything_sum_quantity"])
    same(shop, more, date(2024, 2, 29))
    made = {told.tags: len(told.tiles_made) for told in shop.told}
    assert made == {("everything_sum_amount",): 0, ("everything_sum_quantity",): 4, ("everything_top_brand",): 0}


def test_a_new_window_of_a_known_measure_builds_no_tile(tmp_path: Path) -> None:
    shop = Shop(tmp_path, every_tag())
    shop.write(steady(100))
    shop.merged(some_tags(["everything_sum_amount", "everything_top_brand"]), date(2024, 2, 29))
    same(
        shop,
        kinds("", "_30d")[:0] + some_tags(["everything_sum_amount_30d", "everything_top_brand_mtd"]),
        date(2024, 2, 29),
    )
    assert [told.tiles_made for told in shop.told] == [[], []]


def test_a_tag_taken_away_needs_no_row_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path, every_tag())
    rows = steady(100)
    shop.write(rows)
    shop.merged(some_tags(["everything_sum_amount", "everything_sum_quantity"]), date(2024, 2, 29))
    for part in shop.parts[:-1]:
        part.file.unlink()
    shop.merged(some_tags(["everything_sum_amount"]), date(2024, 3, 1))


@pytest.mark.parametrize("stage", ["tiles", "checkpoints"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "about"])
def test_damaged_files_are_named_and_made_again(tmp_path: Path, stage: str, damage: str) -> None:
    shop, tags = Shop(tmp_path, every_tag()), kinds("", "_30d")
    shop.write(steady(100))
    wanted = shop.merged(tags, date(2024, 2, 29))
    victims = sorted((tmp_path / "derived" / stage).glob("*/*/*.parquet"))
    for victim in victims[::2]:
        if damage == "truncated":
            victim.write_bytes(victim.read_bytes()[:-9])
        elif damage == "missing":
            victim.unlink()
        else:
            (victim.parent / "about.json").write_text("{")
    if stage == "tiles":  # else nobody would look at them
        shutil.rmtree(tmp_path / "derived/checkpoints")
    assert shop.merged(tags, date(2024, 2, 29)).equals(wanted)
    assert shop.files.healed and all("made again" in words for words in shop.files.healed)


def test_a_tag_whose_condition_depends_on_the_day_is_computed_from_rows(tmp_path: Path) -> None:
    recent = {"fact": "orders", "agg": "count", "where": "days_since(paid_at) < 3"}
    files = {"tags/t.yaml": kit.category("t", kit.tag("recent_count", "integer", recent))}
    resolved = kit.make_catalog(tmp_path / "catalog", files)
    assert groups_of(resolved, resolved.categories["t"].tags) == []

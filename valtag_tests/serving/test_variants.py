"""Random placements are decided as plain Python decides them, person by person."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valtag_assets.serving.building import records_of
from valtag_assets.serving.published import published
from valtag_tests.chance import MORE
from valtag_tests.kit import make_catalog
from valtag_tests.serving.desk import BANNER, FILES, PERSONS, Desk, attribute_rows, interest_rows, members

Row = dict[str, Any]
# What may be asked, as the catalog writes it and as Python does.
RULES: dict[str, Callable[[Row], bool]] = {
    "vips": lambda row: row["vips"],
    "not loyal": lambda row: not row["loyal"],
    "loyal or elders": lambda row: row["loyal"] or row["elders"],
    "points > 60": lambda row: row["points"] is not None and row["points"] > 60,
    "points is null": lambda row: row["points"] is None,
    "city = '上海'": lambda row: row["city"] == "上海",
    "city != '上海' and vips": lambda row: row["city"] != "上海" and row["vips"],
    "has(brands, '雅诗兰黛')": lambda row: "雅诗兰黛" in (row["brands"] or ()),
    "rate >= 0.025": lambda row: row["rate"] * 1000 >= 25,
    "years_since(birth_date) < 50": lambda row: 2024 - row["birth_date"].year < 50,
    "top_brand = '兰蔻' and not (vips or loyal)": lambda row: (
        row["top_brand"] == "兰蔻" and not (row["vips"] or row["loyal"])
    ),
}
placements = st.lists(st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=5), min_size=1, max_size=12)


def rows() -> list[Row]:
    inside = {code: {row["person_id"] for row in members(code)} for code in ("vips", "loyal", "elders")}
    both = [{**one, **other} for one, other in zip(attribute_rows(), interest_rows(), strict=True)]
    return [{**row, **{code: row["person_id"] in found for code, found in inside.items()}} for row in both]


def written(number: int, whens: Sequence[str]) -> dict[str, Any]:
    title = {"zh": "内容", "en": "Content"}
    variants = [{"code": f"v{place}", "title": title, "when": when} for place, when in enumerate(whens)]
    return {**BANNER, "placement": f"p{number}", "variants": variants}


def first(whens: Sequence[str], row: Row) -> int:
    """The number of the first rule that holds, or 0."""
    return next((number for number, when in enumerate(whens, 1) if RULES[when](row)), 0)


@settings(max_examples=6 * MORE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=placements)
def test_the_first_rule_that_holds_decides(served: Desk, drawn: list[list[str]]) -> None:
    files = {f"placements/p{number}.yaml": written(number, whens) for number, whens in enumerate(drawn)}
    with TemporaryDirectory() as folder:
        resolved = make_catalog(Path(folder), {**FILES, "placements/banner.yaml": None, **files})
        now = published(served.warehouse, resolved)
        records = records_of(resolved, now, PERSONS, served.place.spill)
    # A catalog's placements are in the order of their files.
    order = [int(code.removeprefix("p")) for code in resolved.placements]
    for row in rows():
        decided = orjson.loads(records[row["person_id"]])[len(now.layout.columns) + 1 :]
        assert decided == [first(drawn[number], row) for number in order]

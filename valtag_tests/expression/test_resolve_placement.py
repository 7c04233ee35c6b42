"""Placements are checked with the rest of the catalog: each mistake with its file, its line and a suggestion."""

from pathlib import Path
from typing import Any

import pytest

from valtag_tests.kit import make_catalog, problems
from valtag_tests.serving.desk import BANNER, FILES


def banner(*whens: str, **more: Any) -> dict[str, Any]:
    title = {"zh": "内容", "en": "Content"}
    variants = [{"code": f"v{number}", "title": title, "when": when} for number, when in enumerate(whens)]
    return {**BANNER, "variants": variants, **more}


def faults(folder: Path, placement: dict[str, Any], **more: Any) -> list[str]:
    return problems(folder, {**FILES, "placements/banner.yaml": placement, **more})


def test_a_rule_reads_tags_scores_and_segments(tmp_path: Path) -> None:
    made = make_catalog(tmp_path, {**FILES, "placements/banner.yaml": banner("vips and points > 3", "not loyal")})
    found = made.placements["banner"]
    assert (found.tags, found.scores, found.segments) == ({"points"}, frozenset(), {"vips", "loyal"})
    assert [variant.code for variant, _ in found.rules] == ["v0", "v1"]


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("vip and points > 3", "did you mean 'vips'?"),
        ("贵宾 and points > 3", "did you mean 'vips'?"),
        ("pints > 3", "did you mean 'points'?"),
        ("points > 'many'", "points"),
        ("points", "integer"),
        ("points >", ""),
        ("vips > 3", ""),
        ("1; drop table person", ""),
    ],
)
def test_a_wrong_rule_is_told_with_file_line_and_place(tmp_path: Path, when: str, says: str) -> None:
    (found,) = faults(tmp_path, banner("is_vip", when))
    assert found.startswith("placements/banner.yaml:")
    assert "variants[v1].when: " in found
    assert says in found


def test_a_segment_named_like_a_tag_can_not_be_meant(tmp_path: Path) -> None:
    segments = {"segments": [{"code": "points", "title": {"zh": "积分", "en": "Points"}, "rule": "is_vip"}]}
    more = {"segments/audiences.yaml": segments}
    (found,) = faults(tmp_path, banner("points > 3"), **more)
    assert "'points' is a segment and also a tag or score: rename the segment" in found
    assert faults(tmp_path, banner("is_vip"), **more) == []


@pytest.mark.parametrize(
    ("placement", "says"),
    [
        (banner(), "variants needs at least one"),
        (banner("is_vip", default={**BANNER["default"], "code": "v0"}), "the default 'v0' is a variant already"),
        ({**banner("is_vip"), "variants": [banner("is_vip")["variants"][0]] * 2}, "two variants are called 'v0'"),
        ({**banner("is_vip"), "acess": "public"}, "unknown key 'acess'; did you mean 'access'?"),
        ({key: value for key, value in banner("is_vip").items() if key != "default"}, "'default' is missing"),
        ({**banner("is_vip"), "title": {"zh": "横幅"}}, "'en' is missing"),
    ],
)
def test_a_placement_that_is_not_whole_is_a_mistake(tmp_path: Path, placement: dict[str, Any], says: str) -> None:
    (found,) = faults(tmp_path, placement)
    assert says in found


def test_two_placements_of_one_code_are_a_mistake(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, banner("is_vip"), **{"placements/again.yaml": banner("is_vip")})
    assert "placement 'banner' is defined already" in found

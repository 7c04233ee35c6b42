"""Wrong data are never served: what is held, refused, damaged or gone gives way to what was good before."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from valtag_assets.serving.published import NothingPublished, published
from valtag_assets.warehouse.manifest import DETAILS
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.kit import category, make_catalog, tag
from valtag_tests.serving.desk import AS_OF, ATTRIBUTE, BEFORE, FILES, PERSONS, Desk, attribute_rows, members


def rows(points: int) -> list[dict[str, object]]:
    """Everybody with so many points."""
    return [{**row, "points": points} for row in attribute_rows()]


def test_a_held_tag_is_served_as_it_was_last_good_and_says_so(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    good = desk.publish("tags/attribute", rows(11), BEFORE)
    desk.publish("tags/attribute", rows(12), BEFORE, held=["points"])
    newest = desk.publish("tags/attribute", rows(-5), held=["points"])
    with desk.client() as client:
        answer = client.get("/persons/P01").json()
        variant = client.get("/persons/P01/variant/banner").json()
    assert answer["tags"]["points"] == 11
    assert answer["held"]["points"]["snapshot"] == good.id
    assert answer["held"]["points"]["as_of"] == BEFORE.isoformat()
    assert answer["origins"]["tags/attribute"]["snapshot"] == newest.id
    assert list(variant["held"]) == ["points"]


def test_a_tag_without_any_good_value_is_null_and_its_rules_never_hold(desk: Desk) -> None:
    desk.publish("identity/persons", [{"person_id": person} for person in PERSONS], None)
    desk.publish("tags/attribute", rows(99), held=["points"])
    with desk.client() as client:
        answer = client.get("/persons/P04").json()
        variant = client.get("/persons/P04/variant/banner").json()
    assert answer["tags"]["points"] is None and answer["held"] == {"points": None}
    # Shanghai would be enough for the third rule, but it reads what is not known.
    assert variant["rule"] is None and variant["held"] == {"points": None}
    assert variant["missing"] == ["top_brand", "brands", "segments/vips", "segments/loyal"]


def test_what_was_never_published_is_named(desk: Desk) -> None:
    desk.publish("identity/persons", [{"person_id": "P01"}], None)
    desk.publish("tags/attribute", attribute_rows()[1:2])
    with desk.client() as client:
        answer = client.get("/persons/P01").json()
        inside = client.get("/segments/vips/persons/P01")
    assert answer["tags"]["top_brand"] is None
    tags = ["top_brand", "brands", "last_order_at", "brand_share"]
    assert answer["missing"] == [*tags, "segments/vips", "segments/elders", "segments/loyal"]
    assert inside.status_code == 404 and "has not been published" in inside.json()["error"]


def test_a_table_that_was_found_wrong_after_it_was_published_gives_way_to_the_one_before(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    wrong = desk.publish("tags/attribute", rows(-5))
    desk.refuse(wrong, same_inputs=True)
    now = published(desk.warehouse, desk.resolved)
    assert now.origins["tags/attribute"].as_of == BEFORE.isoformat()


def test_a_later_try_that_was_refused_leaves_what_is_served(desk: Desk) -> None:
    desk.publish_all()
    good = desk.publish("tags/attribute", rows(5))
    desk.refuse(good, same_inputs=False)
    assert published(desk.warehouse, desk.resolved).origins["tags/attribute"].snapshot == good.id


def test_a_damaged_snapshot_gives_way_to_the_one_before(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    damaged = desk.publish("tags/attribute", rows(5))
    damaged.files[0].write_bytes(b"cut")
    assert published(desk.warehouse, desk.resolved).origins["tags/attribute"].as_of == BEFORE.isoformat()


def test_an_audience_that_could_not_be_made_stays_as_it_was(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    desk.publish("tags/attribute", rows(0))
    with desk.client() as client:
        answer = client.get("/segments/vips/persons/P03").json()
    assert (answer["in"], answer["as_of"]) == (True, BEFORE.isoformat())


def test_an_audience_that_is_held_stays_as_it_was_and_says_so(desk: Desk) -> None:
    desk.publish_all()
    good = desk.warehouse.latest(TableRef.parse("segments/vips"))
    desk.publish("segments/vips", [], held=["person_id"])
    with desk.client() as client:
        person = client.get("/persons/P03").json()
        variant = client.get("/persons/P03/variant/banner").json()
    assert good is not None and person["segments"] == ["vips"]
    assert person["held"]["segments/vips"]["snapshot"] == good.id
    assert (variant["rule"], list(variant["held"])) == (1, ["segments/vips"])


def test_a_segment_called_like_a_tag_is_told_from_it(tmp_path: Path) -> None:
    namesake = {"segments": [{"code": "points", "title": {"zh": "积分", "en": "Points"}, "rule": "is_vip"}]}
    files = {"segments/audiences.yaml": namesake, "placements/banner.yaml": None}
    desk = Desk.at(tmp_path, files)
    desk.publish("identity/persons", [{"person_id": "P01"}], None)
    desk.publish("tags/interest", [])
    desk.publish("segments/points", [{"person_id": "P01"}])
    with desk.client() as client:
        person = client.get("/persons/P01").json()
    assert person["tags"]["points"] is None and "points" in person["missing"]
    assert person["segments"] == ["points"] and "segments/points" not in person["missing"]


def test_a_snapshot_whose_record_is_lost_gives_way_to_the_one_before(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    lost = desk.publish("tags/attribute", rows(5))
    (lost.files[0].parent / DETAILS).unlink()
    assert published(desk.warehouse, desk.resolved).origins["tags/attribute"].as_of == BEFORE.isoformat()


def test_somebody_held_out_of_an_audience_is_not_in_it_and_sees_what_others_see(desk: Desk) -> None:
    desk.publish_all()
    inside = [{**row, "is_holdout": row["person_id"] == "P03"} for row in members("vips")]
    desk.publish("segments/vips", inside, holdout=True)
    with desk.client() as client:
        person = client.get("/persons/P03").json()
        assert (person["segments"], person["holdouts"]) == ([], ["vips"])
        asked = client.get("/segments/vips/persons/P03").json()
        assert (asked["in"], asked["holdout"]) == (False, True)
        # P03 and P12 have the brand of the first rule; only one of them is acted on.
        assert client.get("/persons/P03/variant/banner").json()["rule"] != 1
        assert client.get("/persons/P12/variant/banner").json()["rule"] == 1


def test_the_past_is_answered_as_it_was_published(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    desk.publish("tags/attribute", rows(11), BEFORE)
    desk.publish_all(AS_OF)
    with desk.client() as client:
        now, then = client.get("/persons/P04").json(), client.get(f"/persons/P04?as_of={BEFORE}").json()
        assert (now["tags"]["points"], then["tags"]["points"]) == (12, 11)
        assert then["as_of"] == BEFORE.isoformat()
        assert then["origins"]["segments/vips"]["as_of"] == BEFORE.isoformat()
        assert then["masked"] == now["masked"] and then["tags"]["birth_date"] == "***"
        batch = client.post("/persons", json={"persons": ["P04", "P99"], "as_of": str(BEFORE)}).json()
        assert batch["persons"][0]["tags"] == then["tags"] and batch["unknown"] == ["P99"]
        same = client.get(f"/persons/P04?as_of={AS_OF}").json()
        assert same == now
        gap = client.get(f"/persons/P04?as_of={BEFORE - timedelta(days=1)}")
        assert gap.status_code == 404


def test_a_past_whose_snapshots_are_gone_is_refused_and_the_present_goes_on(desk: Desk) -> None:
    desk.publish_all(BEFORE)
    desk.publish_all(AS_OF)
    with desk.client() as client:
        assert client.get(f"/persons/P04?as_of={BEFORE}").status_code == 200
        for snapshot in desk.warehouse.snapshots(desk.publish("tags/interest", [], AS_OF).table):
            if snapshot.as_of == BEFORE:
                desk.warehouse.drop(snapshot.table, [snapshot.id])
        gone = client.get(f"/persons/P04?as_of={BEFORE}").json()
        assert gone["missing"] == ["top_brand", "brands", "last_order_at", "brand_share"]
        assert client.get("/persons/P04").json()["tags"]["top_brand"] == "母婴"


def test_a_tag_whose_type_has_changed_counts_as_not_published(desk: Desk, tmp_path: Path) -> None:
    desk.publish_all()
    changed = [tag("points", "decimal(9,2)", {"master": "members", "of": "points"})]
    kept = [item for item in ATTRIBUTE["tags"] if item["code"] != "points"]
    files = {**FILES, "tags/attribute.yaml": category("attribute", *kept, *changed)}
    later = replace(desk, resolved=make_catalog(tmp_path / "changed", files))
    assert published(later.warehouse, later.resolved).missing == ("points",)


def test_nothing_published_is_said_and_not_served(desk: Desk) -> None:
    with pytest.raises(NothingPublished, match="no tags are published yet"):
        published(desk.warehouse, desk.resolved)

"""The mall's people are found exactly: two cards, recycled numbers, lent devices, a shop's tablet, late sign-ups."""

import pandas as pd
import pytest

from valtag_assets.console.identity import identity_report
from valtag_assets.spec.access import UNSAID
from valtag_tests.catalogs.mall_people import KINDS, knowable, person_id, rows_of
from valtag_tests.golden.published import Published

FOUND_BY = {
    "orders": ["order_id", "line_no"],
    "logins": [*KINDS, "seen_at"],
    "events": ["event_id"],
    "events_legacy": ["event_id"],
    "campaign_responses": ["campaign_id", "member_no", "action"],
}


@pytest.fixture(scope="module")
def told(mall: Published) -> dict[str, pd.DataFrame]:
    """What can be known of who each row is of."""
    return knowable(rows_of(mall.setting.data / "landing/mall/truth"))


@pytest.fixture(scope="module")
def both(mall: Published, told: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Of every row of a fact: who it is of, its piece of what can be known, and the person it was given."""
    parts = []
    for source, key in FOUND_BY.items():
        ours = mall.rows(f"keyed/{source}")[[*key, "_person"]].drop_duplicates()
        theirs = told[source][[*key, "person", "piece"]].drop_duplicates()
        parts.append(theirs.merge(ours, on=key, how="outer", indicator=True).assign(source=source))
    return pd.concat(parts)[["source", "person", "piece", "_person", "_merge"]]


def test_every_row_is_of_whom_it_can_be_known_to_be(both: pd.DataFrame) -> None:
    assert set(both["_merge"]) == {"both"}
    assert (both["piece"].isna() == both["_person"].isna()).all()
    pairs = both.dropna(subset="piece").drop_duplicates(["piece", "_person"])
    assert pairs["piece"].is_unique and pairs["_person"].is_unique
    assert len(pairs) > 2500
    assert both.dropna(subset="piece").groupby("_person")["person"].nunique().max() == 1, "nobody is two people"


def test_every_member_is_found_with_all_cards(mall: Published, told: dict[str, pd.DataFrame]) -> None:
    cards = told["members"]
    keys = mall.rows("identity/keys")
    ours = keys[keys["kind"] == "member_no"].set_index("key")["person_id"]
    assert ours.to_dict() == dict(zip(cards["member_no"], cards["piece"].map(person_id), strict=True))
    assert cards.groupby("person")["piece"].nunique().max() == 1
    assert cards["person"].duplicated().sum() > 30


def test_what_cannot_be_known_are_visits_that_never_signed_in(both: pd.DataFrame) -> None:
    """The rest of a person's rows: of visitors whom nothing leads to their card, or on a device of two."""
    stray = both[~both["piece"].str.startswith("member_no", na=False)]
    assert set(stray["source"]) <= {"events", "events_legacy", "logins"}
    assert 0 < len(stray) < 0.02 * len(both)
    assert 0 < stray["piece"].isna().sum() < 0.1 * len(stray)


def test_each_way_of_being_hard_to_tell_is_there(mall: Published) -> None:
    review = mall.rows("identity/review")
    assert set(review["kind"] + " " + review["reason"]) == {
        *("phone blocked", "device blocked", "device shared", "device conflict")
    }
    keys = mall.rows("identity/keys")
    phones = keys[keys["kind"] == "phone"].groupby("key")["person_id"].nunique()
    assert (phones == 2).sum() > 20, "recycled"


def test_the_channels_are_counted(mall: Published, both: pd.DataFrame) -> None:
    truth = mall.setting.data / "landing/mall/truth"
    files = ("order_lines", "logins", "events")
    channel = pd.concat(pd.read_parquet(truth / f"{name}.parquet")["channel"] for name in files).value_counts()
    found = {item.channel: item for item in identity_report(mall.setting, UNSAID).channels}
    assert {name: item.rows for name, item in found.items()} == channel.to_dict()
    ours = both[both["source"] != "campaign_responses"]
    assert sum(item.known for item in found.values()) <= channel.sum() - ours["piece"].isna().sum()
    assert found["POS"].known == found["POS"].identified == found["POS"].rows
    assert all(item.known < item.identified <= item.rows for item in map(found.get, ("MINI", "APP", "WEB")) if item)

"""The shipped catalogs: each is without a mistake, and together they show every tag a customer asks for."""

import re
from pathlib import Path

import pytest

from valtag_assets.expression.naming import naming_faults
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import rule_meaning
from valtag_tests.soundness.code import PACKAGE

SHIPPED = sorted(path.parent for path in (PACKAGE / "catalogs").rglob("project.yaml"))
CATEGORIES = {"attribute", "behavior", "transaction", "lifecycle", "interest"}

# The tags the field speaks of, by category, and their codes in the mall.
ASKED_FOR = {
    "attribute": {
        "性别": "gender",
        "年龄": "age",
        "所在城市": "city",
        "所属渠道": "member_channel",
        "注册时间": "registered_at",
    },
    "behavior": {
        "访问频率": "visit_count",
        "点击页面数": "page_view_count",
        "最近活跃时间": "last_active_at",
        "最近浏览品类": "last_viewed_category",
    },
    "transaction": {
        "累计消费金额": "total_spend",
        "累计订单数": "order_count",
        "最近消费时间": "last_order_at",
        "单均消费金额": "avg_order_value",
        "最常购买品牌": "top_brand",
        "年消费额": "yearly_spend_ytd",
    },
    "lifecycle": {
        "首次访问距今天数": "days_since_first_visit",
        "上次购买距今天数": "days_since_last_order",
        "生命周期阶段": "lifecycle_stage",
    },
    "interest": {
        "品类偏好": "category_preference",
        "品牌偏好": "brand_preference",
        "活动偏好": "campaign_preference",
        "兴趣品类": "interest_categories_90d",
    },
}


@pytest.fixture(scope="module")
def mall() -> Resolved:
    return resolve_catalog(PACKAGE / "catalogs" / "mall")


@pytest.mark.parametrize("root", SHIPPED, ids=lambda root: root.name)
def test_a_shipped_catalog_is_without_a_mistake(root: Path) -> None:
    resolved = resolve_catalog(root)
    assert resolved.catalog.project.name == root.name
    assert resolved.categories
    assert resolved.scores
    assert resolved.segments
    assert resolved.reports


@pytest.mark.parametrize("name", ["complete_journey", "mall"])
def test_an_example_has_all_five_categories(name: str) -> None:
    assert set(resolve_catalog(PACKAGE / "catalogs" / name).categories) == CATEGORIES


@pytest.mark.parametrize("root", SHIPPED, ids=lambda root: root.name)
def test_codes_obey_the_naming_law(root: Path) -> None:
    resolved = resolve_catalog(root)
    assert [fault for tag in resolved.tags.values() for fault in naming_faults(tag.spec)] == []
    codes = [*resolved.sources, *resolved.tags, *resolved.scores, *resolved.segments, *resolved.reports]
    assert [code for code in codes if not re.fullmatch(r"[a-z][a-z0-9_]*", code)] == []


@pytest.mark.parametrize("root", SHIPPED, ids=lambda root: root.name)
def test_everything_people_read_is_bilingual(root: Path) -> None:
    resolved = resolve_catalog(root)
    blocks = [
        *(tag.spec for tag in resolved.tags.values()),
        *(segment.spec for segment in resolved.segments.values()),
        *(source.spec for source in resolved.sources.values()),
        *(score.spec for score in resolved.scores.values()),
        *(report.spec for report in resolved.reports.values()),
        *(measure for report in resolved.reports.values() for measure in report.spec.measures),
        *(allocation.spec for allocation in resolved.allocations.values()),
        *(placement.spec for placement in resolved.placements.values()),
        *(variant for placement in resolved.placements.values() for variant in placement.spec.variants),
        *(destination.spec for destination in resolved.destinations.values()),
        *(delivery.spec for delivery in resolved.deliveries.values()),
        *(placement.spec.default for placement in resolved.placements.values()),
        *(trigger.spec for trigger in resolved.triggers.values()),
    ]
    chinese = re.compile("[一-鿿]|RFM")
    assert [block.title.en for block in blocks if not chinese.search(block.title.zh)] == []
    assert [block.title.zh for block in blocks if not re.search("[A-Za-z]", block.title.en)] == []


@pytest.mark.parametrize(
    ("category", "title", "code"),
    [(category, title, code) for category, tags in ASKED_FOR.items() for title, code in tags.items()],
)
def test_the_mall_shows_every_tag_that_is_asked_for(mall: Resolved, category: str, title: str, code: str) -> None:
    tag = mall.tags[code]
    assert tag.category == category
    assert tag.spec.title.zh.startswith(title)


def test_a_stage_of_life_is_the_silence_of_the_valuable(mall: Resolved) -> None:
    domain = mall.tags["lifecycle_stage"].spec.domain
    assert domain is not None and isinstance(domain.values, dict)
    assert "高价值沉默" in {title.zh for title in domain.values.values() if title is not None}


def test_the_mall_has_the_trigger_everybody_asks_for(mall: Resolved) -> None:
    trigger = mall.triggers["silent_valuable"]
    assert rule_meaning(trigger.rules["when"]) == "all(total_spend > 3000, lifecycle_stage = 'dormant_high_value')"
    assert trigger.spec.together
    assert [trigger.channels[action.step] for action in trigger.spec.first_steps] == ["sms", "adviser"]


def test_the_mall_has_the_audience_everybody_asks_for(mall: Resolved) -> None:
    audience = mall.segments["young_shanghai_lapsed"]
    assert audience.tags == {"age", "city"} and audience.facts == {"orders"}
    assert audience.spec.meaning == "年龄18-25 + 城市=上海 + 过去30天无下单"

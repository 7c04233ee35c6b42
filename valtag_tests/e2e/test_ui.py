"""What the data team sees in the browser."""

from playwright.sync_api import Page, expect

GROUPS = ("1_sources", "2_clean", "3_identity", "4_tags", "5_scores", "6_segments", "9_health")


def test_the_graph_opens_with_its_stages_in_the_order_of_the_flow(ui: str, page: Page) -> None:
    page.goto(f"{ui}/asset-groups")
    places = []
    for group in GROUPS[:-1]:
        box = page.locator(f"svg >> text={group}").first
        expect(box).to_be_visible()
        found = box.bounding_box()
        assert found is not None
        places.append(found["x"])
    assert places == sorted(places)


def test_a_category_page_shows_titles_units_lineage_coverage_and_freshness(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/tags/transaction")
    for text in (
        "交易类 · Transaction",
        "total_spend_3d",
        "累计消费金额（近3天）",
        "← orders.amount",
        "coverage 覆盖率",
    ):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.get_by_text("Freshness policy").first).to_be_visible()
    expect(page.get_by_text("60", exact=True).first).to_be_visible()


def test_a_tag_has_its_check_with_rule_and_counts(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/tags/attribute?view=checks")
    page.get_by_text("city", exact=True).first.click()
    expect(page.get_by_text("tags/attribute.yaml:").first).to_be_visible()
    expect(page.get_by_text("city.values").first).to_be_visible()


def test_the_rfm_page_has_tiers_and_a_heat_map_drawn_with_chinese(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/scores/rfm")
    expect(page.get_by_text("冠军客户 · Champions").first).to_be_visible()
    expect(page.get_by_text("重要价值").first).to_be_visible()
    row = page.locator("tr", has_text="heat map 热力图").first
    row.get_by_text("[Show Markdown]").click()
    image = page.locator("img[alt='RFM']")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.complete && image.naturalWidth > 300")


def test_a_segment_page_shows_its_rule_and_its_size(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/segments/quiet_women")
    expect(page.get_by_text("gender = 'female'").first).to_be_visible()
    expect(page.get_by_text("size 人数").first).to_be_visible()


def test_the_demo_runs_are_listed(ui: str, page: Page) -> None:
    page.goto(f"{ui}/runs")
    expect(page.get_by_text("derive").first).to_be_visible()

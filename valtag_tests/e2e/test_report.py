"""The page about a run in a real browser, opened from the disk: search, errors, requests."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page

from valtag_assets.site.page import write_page
from valtag_tests.graph.shop import FILES, SEGMENTS, Shop

EVIL = "<img src=x onerror=document.title='changed'>"
REPORTS = """
reports:
  - code: conversion
    title: {zh: 城市转化, en: Conversion by city}
    dimensions: [{tag: city}]
    measures: [{code: people, title: {zh: 人数, en: People}, agg: persons}]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a shop that has been run, one title of which is markup."""
    with dg.DagsterInstance.ephemeral() as instance:
        files = {
            **FILES,
            "reports/r.yaml": REPORTS,
            "segments/audiences.yaml": SEGMENTS.replace("en: Women", f'en: "Women {EVIL}"'),
        }
        shop = Shop(tmp_path_factory.mktemp("report"), instance, files)
        shop.write()
        shop.run()
        return write_page(shop.setting, None, shop.root)


@pytest.fixture
def opened(browser: Browser, path: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page, and everything it says or asks for beyond itself."""
    page, heard = browser.new_page(viewport={"width": 420, "height": 900}), list[str]()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    yield page, heard
    page.close()


def shown(page: Page) -> set[str]:
    """The tags in sight."""
    return {card.get_attribute("id") or "" for card in page.locator("#tags .item").all() if card.is_visible()}


def test_it_asks_for_nothing_and_complains_about_nothing(opened: tuple[Page, list[str]]) -> None:
    page, heard = opened
    page.fill("#search", "城市")
    assert heard == []
    assert page.title().startswith("小店 · Shop")


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ("城市", {"tag-city"}),
        ("cumulative SPEND", {"tag-total_spend", "tag-total_spend_3d"}),
        ("ＳＰＥＮＤ 近3天", {"tag-total_spend_3d"}),
        ("no such thing", set()),
    ],
)
def test_search_narrows_the_dictionary(opened: tuple[Page, list[str]], words: str, tags: set[str]) -> None:
    page, _ = opened
    everything = shown(page)
    page.fill("#search", words)
    assert shown(page) == tags
    page.fill("#search", "")
    assert shown(page) == everything
    assert len(everything) == 7


def test_it_is_as_wide_as_the_screen(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    assert page.evaluate("document.documentElement.scrollWidth") == 420


def test_plots_are_drawn_in_a_font_that_has_the_characters(opened: tuple[Page, list[str]]) -> None:
    page, _ = opened
    text = page.locator("#tag-city svg text", has_text="上海").first
    assert text.is_visible()
    box = text.bounding_box()
    assert box is not None and box["width"] > 8

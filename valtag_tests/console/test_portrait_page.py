"""valtag segment portrait: what is compared for whom, and the page and pictures."""

import json
from pathlib import Path

import pytest

from valtag_assets.console.portrait import Pictured, picture
from valtag_assets.console.portrait_view import print_portrait
from valtag_assets.console.screen import print_json, screen
from valtag_assets.graph.setting import Setting
from valtag_assets.site.portrait_page import write_page
from valtag_assets.spec.access import UNSAID, Asking
from valtag_assets.spec.mistake import Mistake
from valtag_tests.graph.shop import AS_OF, Shop

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def women(setting: Setting) -> Pictured:
    return picture(setting, "women", None, None, UNSAID, histograms=9)


def test_the_published_audience_is_compared_in_every_tag_and_score(women: Pictured, setting: Setting) -> None:
    assert (women.as_of, women.portrait.members, women.portrait.rest) == (AS_OF, 30, 30)
    first = women.portrait.differences[0]
    assert (first.code, first.effect.strength) == ("gender", pytest.approx(1.0))
    compared = {item.code for item in women.portrait.differences} | set(women.portrait.too_few)
    every = {*setting.resolved.tags, *setting.resolved.scores["rfm"].columns}
    assert compared | set(women.skipped) == every
    # Twelve customers have orders: too few to say how much they spend.
    assert women.portrait.too_few["spend"].startswith("too few values")
    assert women.in_rule == {"gender"}


def test_the_terminal_shows_titles_in_both_languages(women: Pictured, capsys: pytest.CaptureFixture[str]) -> None:
    print_portrait(screen(), women, 5)
    said = capsys.readouterr().out
    assert "女性 <b> · Women" in said and "gender*" in said
    assert "30 persons in the audience, 30 in the rest" in said
    assert "not compared: spend: too few values" in said
    print_json(women.to_json())
    found = json.loads(capsys.readouterr().out)
    assert found["differences"][0]["title"] == {"zh": "性别", "en": "Gender"}
    assert found["differences"][0]["in_rule"] is True


def test_the_page_holds_its_pictures_and_escapes_the_catalog(women: Pictured, tmp_path: Path) -> None:
    page, *pictures = write_page(women, tmp_path / "made")
    assert [path.name for path in pictures] == ["effects.png", "distributions.png"]
    assert all(path.read_bytes().startswith(PNG) and path.stat().st_size > 10_000 for path in pictures)
    text = page.read_text(encoding="utf-8")
    assert text.count('src="data:image/png;base64,') == 2
    assert "<script" not in text and "Women &lt;script&gt;" in text and "女性 &lt;b&gt;" in text
    assert "http://" not in text and "https://" not in text


def test_too_few_is_said_instead_of_figures(setting: Setting, tmp_path: Path) -> None:
    few = picture(setting, "buyers", None, None, UNSAID)
    assert few.portrait.differences == () and not few.portrait.comparable
    pages = write_page(few, tmp_path)
    assert [path.name for path in pages] == ["portrait.html"]
    assert "too few to compare: 12 persons" in pages[0].read_text(encoding="utf-8")
    everybody = picture(setting, "everybody", None, None, UNSAID)
    write_page(everybody, tmp_path)
    assert "there is nobody to compare with" in (tmp_path / "portrait.html").read_text(encoding="utf-8")


def test_a_role_sees_only_what_it_may_read(ran: Shop, setting: Setting) -> None:
    path = ran.root / "catalog" / "tags" / "attribute.yaml"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before.replace("code: gender\n", "code: gender\n    access: pii\n"), encoding="utf-8")
        found = picture(ran.setting, "women", None, None, UNSAID)
        assert found.skipped["gender"] == "this role may not read it (pii)"
        assert "gender" not in {item.code for item in found.portrait.differences}
        steward = picture(ran.setting, "women", None, None, Asking("steward"))
        assert "gender" not in steward.skipped
    finally:
        path.write_text(before, encoding="utf-8")


def test_an_audience_that_is_not_there_is_one_clear_line(setting: Setting) -> None:
    with pytest.raises(Mistake, match="did you mean 'women'"):
        picture(setting, "womens", None, None, UNSAID)
    with pytest.raises(Mistake, match="there is 2024-03-10"):
        picture(setting, "women", AS_OF.replace(day=1), None, UNSAID)
    with pytest.raises(Mistake, match="'nobody' is no audience"):
        picture(setting, "women", None, "nobody", UNSAID)

"""``valtag report``: where the page goes, and what it says when there is nothing to show."""

from pathlib import Path

from valtag_tests.cli.conftest import Shop, Valtag


def test_the_page_lies_in_the_data_folder_and_its_path_is_printed(valtag: Valtag, served: Shop) -> None:
    said = valtag("report", *served.options)
    assert said.code == 0
    path = Path(said.out.strip())
    assert path.parent == served.data / "reports"
    assert path.name.startswith("shop-2")
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "不同城市用户的下单转化率" in page


def test_the_page_goes_where_it_is_wanted(valtag: Valtag, served: Shop, tmp_path: Path) -> None:
    wanted = tmp_path / "new" / "page.html"
    assert valtag("report", *served.options, "--into", wanted).out.strip() == str(wanted)
    assert wanted.is_file()


def test_before_the_first_run_there_is_nothing_to_report(valtag: Valtag, shop: Shop) -> None:
    said = valtag("report", *shop.options)
    assert said.code == 1
    assert "nothing is published" in said.err
    assert "valtag run" in said.err
    assert not (shop.data / "reports").exists()


def test_a_mistyped_date_is_a_mistake_and_no_trace(valtag: Valtag, served: Shop) -> None:
    said = valtag("report", *served.options, "--as-of", "2031-01-01")
    assert said.code == 1
    assert said.err.count("\n") <= 2
    assert "nothing is published for 2031-01-01" in said.err

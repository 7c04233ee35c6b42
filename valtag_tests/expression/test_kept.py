"""What is kept of a big catalog changes no answer: not when files change, not when what was kept is damaged."""

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.expression import kept
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import ResolvedTag
from valtag_assets.spec.loading import read_file
from valtag_assets.spec.problem import CatalogError
from valtag_tests.kit import category, tag, write_catalog

SPEND = tag("spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount"}, windows=["all", "30d"])
CITY = tag("city", "text", {"master": "members", "of": "city"})
SHARE = tag("recent_share", "float", "spend_30d / spend")
LEVEL = tag(
    "level", "text", None, band={"of": "spend", "steps": [{"code": "low", "title": {"zh": "低", "en": "Low"}}]}
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog that counts as a big one: values in one file, what rests on them in another."""
    monkeypatch.setattr(kept, "MANY", 0)
    files = {"tags/base.yaml": category("base", SPEND, CITY), "tags/over.yaml": category("over", SHARE, LEVEL)}
    return write_catalog(tmp_path / "shop", files)


def folder(root: Path) -> Path:
    return root.parent / "kept"


def resolve(root: Path) -> dict[str, ResolvedTag]:
    return without_lines(resolve_catalog(root, folder(root)).tags)


def without_lines(tags: Mapping[str, ResolvedTag]) -> dict[str, ResolvedTag]:
    return {code: replace(tag, entry=replace(tag.entry, raw=None)) for code, tag in tags.items()}


def mistakes(root: Path, keep_in: Path | None) -> list[str]:
    with pytest.raises(CatalogError) as error:
        resolve_catalog(root, keep_in)
    return [str(problem) for problem in error.value.problems]


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder(root).rglob("*.kept")}


def test_what_was_kept_is_what_the_files_say(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = without_lines(resolve_catalog(root).tags)
    assert resolve(root) == said
    assert set(files(root)) == {"base.kept", "over.kept"}
    read: list[str] = []

    def reading(path: Path, model: Any) -> Any:
        read.append(path.name)
        return read_file(path, model)

    monkeypatch.setattr("valtag_assets.spec.catalog.read_file", reading)
    assert resolve(root) == said
    assert read == ["project.yaml", "members.yaml", "orders.yaml"]


def test_a_change_of_one_file_is_seen_and_the_other_file_is_not_written_again(root: Path) -> None:
    resolve(root)
    before = files(root)
    text = (root / "tags/over.yaml").read_text()
    (root / "tags/over.yaml").write_text(text.replace("spend_30d / spend", "spend / spend_30d"))
    assert resolve(root)["recent_share"].meaning == resolve_catalog(root).tags["recent_share"].meaning
    after = files(root)
    assert after["base.kept"] == before["base.kept"]
    assert after["over.kept"] != before["over.kept"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tags/base.yaml", "30d", "60d"),  # a tag over tags reads what is gone
        ("tags/base.yaml", "code: city", "code: level"),  # two files give one tag
        ("tags/base.yaml", "code: spend", "code: over_2 "),
        ("tags/base.yaml", "agg: sum", "agg: smu"),
        ("sources/orders.yaml", "{name: amount,", "{name: amounts,"),
        ("sources/members.yaml", "{name: city,", "{name: town,"),
    ],
)
def test_mistakes_are_the_same_whether_files_were_kept_or_not(root: Path, file: str, old: str, new: str) -> None:
    resolve(root)
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert mistakes(root, folder(root)) == mistakes(root, None)
    path.write_text(text)
    assert set(resolve(root)) == {"spend", "spend_30d", "city", "recent_share", "level"}


def test_a_tag_whose_type_changes_is_checked_against_its_kept_readers(root: Path) -> None:
    resolve(root)
    path = root / "tags/base.yaml"
    path.write_text(path.read_text().replace("decimal(18,2)", "float"))
    assert resolve(root)["level"].node == resolve_catalog(root).tags["level"].node


def test_damaged_and_foreign_files_were_never_kept(root: Path) -> None:
    first = resolve(root)
    [place] = {path.parent for path in folder(root).rglob("*.kept")}
    whole = (place / "base.kept").read_bytes()
    key = whole.split(b"\n", 1)[0]
    forged = pickle.dumps(Touch(root / "touched"))
    for content in (b"", whole[:100], whole[:-1], whole.replace(b"spend", b"spent"), sealed(key, forged)):
        (place / "base.kept").write_bytes(content)
        assert resolve(root) == first
        assert (place / "base.kept").read_bytes().startswith(key)
    assert not (root / "touched").exists()


class Touch:
    """A pickle that would run a function when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (self.path,))


def sealed(key: bytes, content: bytes) -> bytes:
    return b"\n".join((key, kept._digest([content]).encode(), content))


def test_a_file_that_is_not_there_is_told_as_ever(root: Path) -> None:
    (root / "tags/lost.yaml").symlink_to(root / "nowhere.yaml")
    assert mistakes(root, folder(root)) == mistakes(root, None)


def test_a_folder_that_cannot_be_written_and_files_that_went_are_no_hindrance(root: Path) -> None:
    folder(root).write_text("a file where the folder should be")
    assert "spend" in resolve(root)
    folder(root).unlink()
    resolve(root)
    (root / "tags/over.yaml").unlink()
    assert set(resolve(root)) == {"spend", "spend_30d", "city"}
    shutil.copy(root / "tags/base.yaml", root / "tags/third.yaml.bak")
    (root / "tags/base.yaml").write_text((root / "tags/base.yaml").read_text() + "\n")
    resolve(root)
    assert set(files(root)) == {"base.kept"}

"""Where a source lies, and the fingerprint of its content."""

import os
import sqlite3
from contextlib import closing

import pytest

from valtag_assets.engine.reading.origin import Origin, SourceError, locate, resolve_paths
from valtag_assets.engine.reading.read import fingerprint
from valtag_assets.spec.source import Read


@pytest.fixture
def folder(tmp_path):
    for name in ("orders/2024/b.csv", "orders/2023/a.csv", "orders/~$x.csv", "orders/.h.csv", "people[1].csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("id\n1\n")
    return tmp_path


def test_a_glob_gives_sorted_files_without_hidden_and_lock_files(folder):
    paths = resolve_paths("orders/**/*.csv", folder)
    assert [path.relative_to(folder).as_posix() for path in paths] == ["orders/2023/a.csv", "orders/2024/b.csv"]
    assert resolve_paths(str(folder / "orders/*/?.csv"), folder / "elsewhere") == paths


def test_a_file_may_have_glob_characters_in_its_name(folder):
    assert resolve_paths("people[1].csv", folder) == (folder / "people[1].csv",)


def test_file_names_are_told_from_the_fixed_part_of_the_pattern(folder):
    origin = locate(Read(path="orders/**/*.csv"), folder)
    assert [origin.label(path) for path in origin.paths] == ["2023/a.csv", "2024/b.csv"]
    (folder / "orders/2023/a.csv").unlink()
    assert locate(Read(path="orders/**/*.csv"), folder).label(origin.paths[1]) == "2024/b.csv"


def test_what_is_not_there_names_what_lies_near(folder):
    with pytest.raises(SourceError, match=r"orders/2024/c\.csv: no such file; .*orders/2024 has b\.csv"):
        resolve_paths("orders/2024/c.csv", folder)
    with pytest.raises(SourceError, match=r"order/\*\.csv: no such file; .* has orders: did you mean"):
        resolve_paths("order/*.csv", folder)
    with pytest.raises(SourceError, match=r"orders: is a folder; name its files, as in orders/\*\.csv"):
        resolve_paths("orders", folder)


def test_variables_in_a_path_come_from_the_environment(folder):
    origin = locate(Read(path="${ZONE}/2024/b.csv"), folder, {"ZONE": "orders"})
    assert origin.paths == (folder / "orders/2024/b.csv",)
    with pytest.raises(SourceError, match=r"ZONE is not set; did you mean ZONES\?"):
        locate(Read(path="${ZONE}/b.csv"), folder, {"ZONES": "x"})


def test_a_file_inside_a_package_is_found_without_running_it(tmp_path, monkeypatch):
    package = tmp_path / "shop_data_package"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('was run')")
    (package / "data" / "x.csv").write_text("id\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = resolve_paths("package://shop_data_package/data/*.csv", tmp_path)
    assert found == (package / "data" / "x.csv",)
    with pytest.raises(SourceError, match="leaves the package"):
        resolve_paths("package://shop_data_package/../secret.csv", tmp_path)
    with pytest.raises(SourceError, match="package 'not_there_at_all' is not installed"):
        resolve_paths("package://not_there_at_all/x.csv", tmp_path)


class TestFingerprint:
    def test_it_follows_content_and_names(self, folder, tmp_path):
        def current() -> str:
            return fingerprint(locate(Read(path="orders/**/*.csv"), folder), tmp_path / "cache.json")

        first = current()
        os.utime(folder / "orders/2024/b.csv", (1, 1))
        assert current() == first
        (folder / "orders/2024/b.csv").write_text("id\n2\n")
        second = current()
        assert second != first
        (folder / "orders/2024/b.csv").rename(folder / "orders/2024/c.csv")
        assert current() not in (first, second)

    def test_a_digest_is_kept_while_the_file_stays(self, folder, tmp_path):
        origin, cache = locate(Read(path="orders/2024/b.csv"), folder), tmp_path / "cache.json"
        first = fingerprint(origin, cache)
        cache.write_text(cache.read_text().replace('"', '"f', 3).replace('"f', '"', 2))
        assert fingerprint(origin, cache) != first  # the kept digest was used, not the content
        cache.write_text('{"cut')
        assert fingerprint(origin, cache) == first

    def test_rows_in_a_write_ahead_log_count(self, tmp_path):
        path = tmp_path / "t.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("pragma journal_mode = wal")
            database.execute("create table t (i)")
            database.commit()
            origin = Origin("sqlite", (path,), table="t")
            first = fingerprint(origin, tmp_path / "cache")
            database.execute("insert into t values (1)")
            database.commit()
            assert fingerprint(origin, tmp_path / "cache") != first


def test_a_column_named_like_our_own_is_refused(reading, folder):
    (folder / "x.csv").write_text("_row\n1\n")
    with pytest.raises(SourceError, match="the column name '_row' is taken"):
        reading(Origin("csv", (folder / "x.csv",)), ["_row"])


def test_a_file_that_vanished_is_named(reading, tmp_path):
    with pytest.raises(SourceError, match=r"gone\.csv: can't be read"):
        reading(Origin("csv", (tmp_path / "gone.csv",)), ["id"])

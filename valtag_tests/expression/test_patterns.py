"""Patterns in words that RE2 and Java understand alike; that they do is tested where Spark is."""

import duckdb
import pytest

from valtag_assets.expression.patterns import NotPortable, engine_pattern, portable

SAME = [r"^[1-9]\d{10}$", r"\.csv$", r"a.b", r"\s+", r"[^\s,]+", r"(?P<year>\d{4})-(?P<month>\d\d)", r"(?:a|b)+c"]
SAME += [r"[]a]+", r"[a&&b[]", r"x{2,3}y{", r"\v|\t", r"\p{Lu}\pN", r"\x{4e00}-\x41", r"(?s)a.b", r"[\w.-]+@[a-z]+"]
TEXTS = [
    "",
    "13800000000",
    "a.csv",
    "a.csv\n",
    "a\nb",
    "a\u0085b",
    "a\x0bb",
    "x  y\u00a0z",
    "2024-05",
    "abac",
    "]a[&",
    "xxy{",
]
TEXTS += ["Ä9", "一-A", "me.x@host", "a\u2028b"]


@pytest.mark.parametrize("pattern", SAME)
def test_the_other_words_mean_the_same(pattern: str) -> None:
    with duckdb.connect() as connection:
        for text in TEXTS:
            query = "SELECT regexp_extract($t, $p), regexp_extract($t, $q)"
            found = connection.execute(query, {"t": text, "p": pattern, "q": portable(pattern)}).fetchone()
            assert found is not None and found[0] == found[1], (pattern, text)


@pytest.mark.parametrize(
    "pattern", [r"(?i)abc", r"\bword\b", r"[[:alpha:]]", r"\p{Han}", r"[\S]", r"a(?m)b", r"\Qa.b\E"]
)
def test_what_engines_read_differently_is_refused_and_otherwise_left_alone(pattern: str) -> None:
    with pytest.raises(NotPortable):
        portable(pattern)
    assert engine_pattern(pattern) == pattern

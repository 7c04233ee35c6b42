"""What a receiver's answer means: the status first, then the codes it hides in the body."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.delivery.answer import classify
from valtag_assets.delivery.pace import Pace
from valtag_assets.delivery.template import fill
from valtag_assets.spec.destination import Answer, placeholders

NOW = datetime(2024, 3, 10, 8, tzinfo=UTC)
# A gateway of messages that says 200 and means no, with its codes in the body.
CODED = Answer.model_validate(
    {
        "code": "errcode",
        "message": "errmsg",
        "reference": "msgid",
        "ok": 0,
        "retry": -1,
        "pause": [45009],
        "halt": 40001,
    }
)


def kinds(status: int, body: Any = None, answer: Answer = CODED, messages: int = 1, **headers: str) -> list[str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [outcome.kind for outcome in classify(status, named, data, answer, messages, NOW)]


@pytest.mark.parametrize(
    ("status", "alone", "of_many"),
    [
        (301, "halt", "halt"),
        (400, "rejected", "split"),
        (401, "halt", "halt"),
        (403, "halt", "halt"),
        (404, "rejected", "split"),
        (409, "retry", "retry"),
        (413, "rejected", "split"),
        (422, "rejected", "split"),
        (429, "pause", "pause"),
        (500, "uncertain", "uncertain"),
        (501, "rejected", "split"),
        (502, "uncertain", "uncertain"),
        (503, "pause", "pause"),
        (504, "uncertain", "uncertain"),
    ],
)
def test_the_status_decides(status: int, alone: str, of_many: str) -> None:
    assert kinds(status) == [alone]
    assert kinds(status, messages=3) == [of_many] * 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [(0, "ok"), (-1, "retry"), (45009, "pause"), (40001, "halt"), (40003, "rejected"), (None, "uncertain")],
)
def test_a_code_in_the_body_says_what_200_means(code: int | None, kind: str) -> None:
    assert kinds(200, {"errcode": code}) == [kind]


def test_what_cannot_be_understood_is_uncertain() -> None:
    assert kinds(200, b"<html>") == kinds(200, []) == kinds(200, {"code": 0}) == ["uncertain"]
    rows = CODED.model_copy(update={"rows": "data.rows"})
    assert kinds(200, {"data": {"rows": [{"errcode": 0}]}}, rows, 2) == ["uncertain"] * 2
    assert kinds(200, b"anything", Answer()) == ["ok"]


def test_each_row_has_its_own_outcome_where_the_receiver_tells_it() -> None:
    rows = CODED.model_copy(update={"rows": "data.rows"})
    body = {"data": {"rows": [{"errcode": 0, "msgid": 7}, {"errcode": 40003}, {"errcode": -1}]}}
    assert kinds(200, body, rows, 3) == ["ok", "rejected", "retry"]
    assert kinds(200, {"errcode": 45009}, rows, 3) == ["pause"] * 3
    assert kinds(200, {"errcode": 40003}, rows, 3) == ["split"] * 3


def test_the_time_to_wait_is_read_in_seconds_and_as_a_date() -> None:
    def after(text: str) -> float | None:
        return classify(429, {"Retry-After": text}, b"", Answer(), 1, NOW)[0].after

    assert after("120") == 120
    assert after("Sun, 10 Mar 2024 08:05:00 GMT") == 300
    assert after("Sun, 10 Mar 2024 07:00:00 GMT") == 0
    assert after("soon") is None


def test_the_receivers_words_are_kept_without_numbers_that_may_be_somebodys() -> None:
    (outcome,) = classify(200, {}, b'{"errcode": 7, "errmsg": "bad\\n number 13800138000"}', CODED, 1, NOW)
    assert outcome.reason == "errcode 7: bad number …"
    (outcome,) = classify(200, {}, b'{"errcode": 7, "errmsg": "to +86-138 0013-8000, 3 left"}', CODED, 1, NOW)
    assert outcome.reason == "errcode 7: to +…, 3 left"


def test_a_reference_is_a_name_and_no_sentence() -> None:
    rules = CODED.model_copy(update={"reference": "msgid"})
    for said, kept in (("m-1", "m-1"), (17, "17"), ("sent to Zhang San", "")):
        (outcome,) = classify(200, {}, json.dumps({"errcode": 0, "msgid": said}).encode(), rules, 1, NOW)
        assert (outcome.kind, outcome.reference) == ("ok", kept)


# Templates

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(JSON, st.text())
def test_no_value_ends_the_text_it_is_put_into(value: Any, text: str) -> None:
    body = fill({"whole": "{a}", "part": "x{b}y", "list": ["{a}", 1], "kept": {"n": None}}, {"a": value, "b": text})
    assert json.loads(json.dumps(body)) == {
        "whole": value,
        "part": f"x{text}y",
        "list": [value, 1],
        "kept": {"n": None},
    }


def test_a_value_that_looks_like_a_placeholder_is_a_value() -> None:
    assert fill("{a}{b}", {"a": "{b}", "b": "{a}"}) == "{b}{a}"
    assert placeholders({"x": ["{a} and {b}", {"y": "{c}"}], "z": "{not a name}"}) == {"a", "b", "c"}


# Pace


@given(st.integers(1, 60), st.integers(0, 1000))
def test_backoff_is_never_longer_than_ten_minutes_and_the_same_for_the_same_seed(attempt: int, seed: int) -> None:
    first, again = (Pace(None, str(seed)).backoff(attempt, NOW) for _ in range(2))
    assert first == again
    assert 0 <= (first - NOW).total_seconds() <= min(600, 2 ** (attempt - 1))


def test_a_run_of_failures_pauses_longer_each_time_and_an_answer_ends_it() -> None:
    pace, now = Pace(None, "seed"), NOW
    pauses = []
    for _ in range(12):
        pace.failed(now)
        if pace.is_paused(now):
            assert pace.paused_until is not None
            pauses.append((pace.paused_until - now).total_seconds())
            now = pace.paused_until
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600]
    pace.answered()
    assert not pace.broken

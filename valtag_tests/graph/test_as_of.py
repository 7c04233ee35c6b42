"""The as-of of a run for which nobody named one."""

from datetime import date, datetime, time

from valtag_assets.graph.as_of import LastEvent, last_complete_date

YESTERDAY = date(2024, 6, 30)
TEN = time(22, 0)


def _chosen(*events: LastEvent) -> date:
    return last_complete_date(events, TEN, YESTERDAY)


def test_a_day_seen_late_in_the_evening_is_over() -> None:
    assert _chosen(LastEvent(datetime(2024, 3, 5, 23, 1), dated=False)) == date(2024, 3, 5)
    assert _chosen(LastEvent(datetime(2024, 3, 5, 22, 0), dated=False)) == date(2024, 3, 5)


def test_a_day_that_breaks_off_counts_up_to_the_day_before() -> None:
    assert _chosen(LastEvent(datetime(2024, 3, 1, 21, 59, 59), dated=False)) == date(2024, 2, 29)


def test_a_fact_that_knows_dates_only_has_its_last_date() -> None:
    assert _chosen(LastEvent(datetime(2024, 3, 5), dated=True)) == date(2024, 3, 5)


def test_the_newest_fact_decides() -> None:
    old, new = LastEvent(datetime(2024, 3, 5, 23), dated=False), LastEvent(datetime(2024, 3, 7, 8), dated=False)
    assert _chosen(old, new) == date(2024, 3, 6)


def test_a_fact_from_the_future_says_nothing() -> None:
    future = LastEvent(datetime(2031, 1, 1, 23), dated=False)
    assert _chosen(future, LastEvent(datetime(2024, 3, 5), dated=True)) == date(2024, 3, 5)
    assert _chosen(future) == YESTERDAY


def test_without_facts_it_is_yesterday() -> None:
    assert _chosen() == YESTERDAY

"""What a misspelt word most probably means."""

import difflib

from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.spelling import Spellings
from valtag_assets.spec.types import INTEGER

WORDS = st.text(alphabet="abcde_12订单数", min_size=1, max_size=9)


@given(known=st.lists(WORDS, max_size=40), word=WORDS)
def test_the_closest_word_is_the_one_difflib_finds(known: list[str], word: str) -> None:
    cutoff = 0.5 if len(word) <= 3 else 0.6
    expected = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    assert Spellings(known).closest(word) == (expected[0] if expected else None)


def test_a_title_in_either_language_means_its_code() -> None:
    scope = Scope([Symbol("order_count", INTEGER, None, ("累计订单数", "Orders"))], "tag")
    assert scope.suggest("累积订单数") == "order_count"
    assert scope.suggest("ORDER") == "order_count"
    assert scope.suggest("nonsense") is None

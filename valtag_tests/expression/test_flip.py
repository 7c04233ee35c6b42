"""The nearest change really turns a rule's answer, and no smaller one does."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.expression.flip import answer, nearest_change
from valtag_assets.expression.rule import Condition, Joined, ResolvedRule, leaves
from valtag_assets.expression.tree import Literal
from valtag_assets.spec.types import BOOLEAN

LEAF = st.just(Condition(Literal(True, BOOLEAN)))
TREES = st.recursive(
    LEAF,
    lambda below: st.lists(below, min_size=1, max_size=3).flatmap(
        lambda rules: st.builds(
            lambda how, least: Joined(how, tuple(rules), least if how == "at_least" else 0),
            st.sampled_from(["all", "any", "none", "at_least"]),
            st.integers(1, len(rules)),
        )
    ),
    max_leaves=7,
)


@given(TREES, st.data())
def test_the_nearest_change_turns_the_answer_and_none_with_fewer_conditions_does(
    rule: ResolvedRule, data: st.DataObject
) -> None:
    size = len(list(leaves(rule)))
    holds = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    found = nearest_change(rule, holds, [0.5] * size)

    def turned(which: tuple[int, ...]) -> bool:
        changed = [not held if number in which else held for number, held in enumerate(holds)]
        return answer(rule, changed) != answer(rule, holds)

    assert turned(tuple(change.leaf for change in found))
    assert all(change.to != holds[change.leaf] for change in found)
    assert not any(turned(which) for many in range(len(found)) for which in combinations(range(size), many))


@given(TREES, st.data())
def test_conditions_that_turn_together_are_turned_together(rule: ResolvedRule, data: st.DataObject) -> None:
    size = len(list(leaves(rule)))
    subjects = data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    known = data.draw(st.lists(st.booleans(), min_size=3, max_size=3))
    holds = [known[subject] for subject in subjects]
    found = nearest_change(rule, holds, [0.5] * size, subjects)

    def turned(which: tuple[int, ...]) -> bool:
        changed = [held != (subject in which) for held, subject in zip(holds, subjects, strict=True)]
        return answer(rule, changed) != answer(rule, holds)

    ways = [which for many in range(1, 4) for which in combinations(sorted(set(subjects)), many) if turned(which)]
    assert bool(found) == bool(ways)
    if found:
        assert turned(tuple(subjects[change.leaf] for change in found))
        assert len(found) == len(ways[0])

"""What triggers are judged by: its mistakes are told with their place, the project's stands for all."""

from pathlib import Path

import pytest

from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.spec.problem import CatalogError
from valtag_tests.engine.test_usefulness import GATEWAY, PROJECT, SEGMENTS, TAGS, TRIGGER
from valtag_tests.kit import write_catalog

FILES = {"tags/buying.yaml": TAGS, "segments/s.yaml": SEGMENTS, "destinations/g.yaml": GATEWAY}


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        ("{fact: ordrs}", "'ordrs' is no fact; did you mean 'orders'?"),
        ("{fact: orders, where: amont > 3}", "did you mean 'amount'?"),
        ("{fact: orders, value: brand}", "'brand' is no number"),
        ("{fact: orders, value: amount, adjust: city}", "'city' is no number"),
        ("{fact: orders, adjust: spend}", "value says what the revenue is"),
        ("{fact: orders, keep: [spent]}", "'spent' is no tag or score"),
        ("{fact: orders, within: 14}", "write so many days as 7d"),
    ],
)
def test_a_mistake_in_an_effect_is_told(tmp_path: Path, effect: str, said: str) -> None:
    trigger = TRIGGER.replace("{fact: orders, keep: [nobody_reads]}", effect)
    with pytest.raises(CatalogError) as error:
        resolve_catalog(write_catalog(tmp_path, {**FILES, "project.yaml": PROJECT, "triggers/t.yaml": trigger}))
    assert said in str(error.value) and "triggers/t.yaml:" in str(error.value)


def test_the_projects_effect_stands_for_triggers_without_one(tmp_path: Path) -> None:
    project = PROJECT + "effect: {fact: orders, value: amount, adjust: spend, within: 7d}\n"
    plain = TRIGGER.replace("effect: {fact: orders, keep: [nobody_reads]}\n", "")
    files = {**FILES, "project.yaml": project, "triggers/t.yaml": plain}
    trigger = resolve_catalog(write_catalog(tmp_path, files)).triggers["hello"]
    assert trigger.effect is not None and trigger.effect.spec.within == 7
    assert "spend" in trigger.columns, "what is adjusted by is kept"


def test_how_a_trigger_is_judged_is_no_new_version_of_it(tmp_path: Path) -> None:
    files = {**FILES, "project.yaml": PROJECT, "triggers/t.yaml": TRIGGER}
    before = resolve_catalog(write_catalog(tmp_path, files)).triggers["hello"].meaning
    files["triggers/t.yaml"] = TRIGGER.replace("keep: [nobody_reads]", "within: 3d")
    assert resolve_catalog(write_catalog(tmp_path, files)).triggers["hello"].meaning == before

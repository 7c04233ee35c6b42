"""What the gate of a model of value looks at."""

import json

from valtag_assets.quality.ltv import gate_measures

PERFECT = {"deviance": 0.0, "gini": 1.0, "brier": None, "brier_constant": 0.0, "orders_bias": 0.0, "spend_bias": 0.0}
MODEL = {**PERFECT, "deviance": 0.2, "gini": 0.9, "brier": 0.01, "calibration": 0.1}


def test_a_period_in_which_everybody_ordered_has_measures_that_can_be_kept() -> None:
    held_out = {"mbg_nbd": MODEL, "last_period": {**PERFECT, "calibration": 0.0}}
    found = gate_measures({"winner": "mbg_nbd", "held_out": held_out, "holdout_orders": 9})
    json.dumps(found, allow_nan=False)
    # A forecast without a model was perfect: nothing is left to be better at.
    assert found["deviance"] is not None and found["deviance"] > 1e9
    assert found["brier"] is None

"""Customer value on both engines: the same purchases, so the same fit and the same values to the last digit."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.ltv.making import Making
from valtag_assets.engine.session import Engine, Inputs
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.expression.resolved import ResolvedLtv
from valtag_tests import kit

AS_OF = date(2024, 6, 30)
TAGS = kit.category(
    "t",
    kit.tag("order_count", "integer", {"fact": "orders", "agg": "count", "where": "not gift"}),
    kit.tag(
        "spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount", "where": "not gift"}, unit="CNY"
    ),
    kit.tag("back", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount", "where": "gift"}, unit="CNY"),
)
LTV = {
    "score": "ltv",
    "model": "ltv",
    "title": {"zh": "价值", "en": "Value"},
    "orders": "order_count",
    "spend": "spend",
    "refunds": "back",
    "holdout": "60d",
    "horizons": ["60d"],
    "models": ["mbg_nbd", "boosted"],
    "pin": "boosted",
    "features": ["spend"],
    "gate": {"customers": 50},
}


def orders() -> list[dict[str, Any]]:
    draw, rows = np.random.default_rng(5), []
    for number in range(260):
        ago, every, leaving = float(draw.integers(5, 330)), 1 / draw.gamma(1.2, 1 / 30), draw.beta(0.7, 3)
        while ago >= 0:
            moment = datetime.combine(AS_OF - timedelta(days=int(ago)), datetime.min.time()) + timedelta(hours=23)
            amount = Decimal(int(draw.integers(100, 90_000))) / 100
            rows.append(
                {"member": f"人{number:03}", "paid_at": moment, "amount": amount, "gift": draw.random() < 0.1}
            )
            if draw.random() < leaving:
                break
            ago -= draw.exponential(every)
    return rows


def test_values_are_the_same_on_both_engines(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    resolved = kit.make_catalog(tmp_path / "catalog", {"tags/t.yaml": TAGS, "scores/ltv.yaml": LTV})
    score = resolved.scores["ltv"]
    assert isinstance(score, ResolvedLtv)
    inputs: Inputs = {
        "identity/persons": kit.write_persons(tmp_path, [f"人{number:03}" for number in range(260)]),
        "clean/orders": kit.write_clean(tmp_path, resolved, "orders", orders(), parts=2),
    }
    tables, told = [], []
    engines: tuple[Engine, ...] = (duck, spark)
    for engine in engines:
        folder = tmp_path / engine.name
        folder.mkdir()
        found = Making(resolved, score, AS_OF, engine, inputs, folder).write(folder / "out.parquet")
        assert not found["shortfalls"] and not found["faults"], found
        told.append({name: found[name] for name in ("model", "parameters", "backtest", "tiers", "pictures")})
        tables.append(pq.read_table(folder / "out.parquet").to_pandas())
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert len(tables[0]) > 200
    assert told[0] == told[1]

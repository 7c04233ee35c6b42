"""Customer value end to end: ``python -m valtag_tests.bench.value --persons 1000000 --into data/bench``.

Made customers order and leave as MBG/NBD says, and pay as Gamma-Gamma says. Measured is what the asset computes, from
clean rows to the table of values: reading orders, the backtest, both fits, everybody scored, tiers. ``--catalog``
backtests every candidate on the published rows of a catalog instead, forecasts without a model beside.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.ltv.backtest import Bench, choose, judge
from valtag_assets.engine.ltv.forecasts import naive_forecasts
from valtag_assets.engine.ltv.making import Making
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved, ResolvedLtv
from valtag_assets.graph.setting import Setting, catalog_folder
from valtag_assets.spec.ltv import CANDIDATES
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.bench.process import machine, measured, write_json

AS_OF, DAYS = date(2024, 6, 30), 730
TITLE = "title: {zh: 价值, en: Value}"
FILES = {
    "project.yaml": f"name: value\n{TITLE}\nstart: 2023-01-01\n",
    "sources/orders.yaml": f"""source: orders
{TITLE}
kind: fact
person: member
time: paid_at
read: {{path: orders.csv}}
fields:
  - {{name: member, type: text}}
  - {{name: paid_at, type: timestamp}}
  - {{name: amount, type: "decimal(18,2)"}}
""",
    "tags/transaction.yaml": f"""category: transaction
{TITLE}
tags:
  - {{code: order_count, {TITLE}, type: integer, value: {{fact: orders, agg: count}}}}
  - {{code: total_spend, {TITLE}, type: "decimal(18,2)", unit: CNY, value: {{fact: orders, agg: sum, of: amount}}}}
""",
    "scores/ltv.yaml": f"score: ltv\nmodel: ltv\n{TITLE}\norders: order_count\nspend: total_spend\n",
}


def write_catalog(folder: Path, options: str) -> Resolved:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + (options if name == "scores/ltv.yaml" else ""), encoding="utf-8")
    return resolve_catalog(folder)


def write_orders(folder: Path, persons: int, seed: int = 7) -> dict[str, list[Path]]:
    """The population and its orders, in batches of persons."""
    draw, orders, people = np.random.default_rng(seed), [], []
    for number, first in enumerate(range(0, persons, 500_000)):
        ids = np.arange(first, min(first + 500_000, persons))
        who, day, worth = _ordered(draw, len(ids))
        names = np.char.add("P", np.char.zfill(ids.astype(str), 9))
        moment = np.datetime64(AS_OF - timedelta(days=DAYS)) + day.astype("timedelta64[D]")
        order = np.lexsort((day, who))
        paid = pa.array(np.round(worth[order], 2)).cast(pa.decimal128(18, 2), safe=False)
        table = pa.table(
            {
                "member": pa.array(names[who[order]]),
                "paid_at": pa.array(moment[order].astype("datetime64[us]")),
                "amount": paid,
                "_file": pa.array(["made"] * len(who)),
                "_row": pa.array(np.arange(len(who))),
            }
        )
        orders.append(folder / f"orders-{number}.parquet")
        pq.write_table(table, orders[-1])
        people.append(folder / f"persons-{number}.parquet")
        pq.write_table(pa.table({"person_id": names}), people[-1])
    return {clean_name("orders"): orders, PERSONS: people}


def _ordered(draw: np.random.Generator, persons: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(person, day from the start, worth) of every order: MBG/NBD in days, Gamma-Gamma."""
    rate = draw.gamma(0.55, 1 / 45, persons)
    leaving, price = draw.beta(0.9, 1.6, persons), 15.4 / draw.gamma(3.74, 1, persons)
    clock = draw.integers(0, DAYS, persons).astype(np.float64)
    who, day = [np.arange(persons)], [clock.copy()]
    on = np.flatnonzero(draw.random(persons) >= leaving)
    while len(on):
        clock[on] += draw.exponential(1 / rate[on])
        on = on[clock[on] <= DAYS]
        who.append(on)
        day.append(clock[on].copy())
        on = on[draw.random(len(on)) >= leaving[on]]
    people = np.concatenate(who)
    worth = np.maximum(draw.gamma(6.25, price[people]), 0.01)
    return people, np.floor(np.concatenate(day)), worth


def computed(folder: Path, persons: int, options: str) -> dict[str, Any]:
    """One computation of the table; run in a process of its own by ``main``."""
    resolved = write_catalog(folder / "catalog", options)
    score = resolved.scores["ltv"]
    assert isinstance(score, ResolvedLtv)
    files = {name: sorted(folder.glob(f"{name.split('/')[1]}-*.parquet")) for name in (clean_name("orders"), PERSONS)}
    started, cpu = time.monotonic(), time.process_time()
    with open_duckdb(folder) as engine, tempfile.TemporaryDirectory(dir=folder) as work:
        engine.connection.execute("SET memory_limit = '2GB'")
        into = Path(work) / "out.parquet"
        told = Making(resolved, score, AS_OF, engine, files, Path(work)).write(into)
        rows = pq.ParquetFile(into).metadata.num_rows
    spent = {"cpu": round(time.process_time() - cpu, 2), "wall": round(time.monotonic() - started, 2)}
    return {"persons": persons, "rows": rows, "model": told["model"], "parameters": told["parameters"], **spent}


def backtested(name: str, data: Path, as_of: date, code: str) -> list[str]:
    """Every candidate on every period there is, as lines of a Markdown table."""
    resolved = resolve_catalog(catalog_folder(name))
    setting, score = Setting(resolved, data), resolved.scores[code]
    assert isinstance(score, ResolvedLtv)
    every = score.spec.model_copy(update={"models": CANDIDATES})
    score = replace(score, entry=replace(score.entry, spec=every))
    files = {}
    for table in (PERSONS, *map(clean_name, score.facts)):
        snapshot = setting.warehouse.current(TableRef.parse(table))
        assert snapshot is not None, f"{table} is not published"
        files[table] = list(snapshot.files)
    with open_duckdb() as engine, tempfile.TemporaryDirectory() as work:
        bench = Bench(Making(resolved, score, as_of, engine, files, Path(work)).persons(), score.spec)
    winner, why, _ = choose(bench)
    lines = [f"{name}, as-of {as_of}, {score.spec.holdout} days held out; chosen: {winner} ({why})", ""]
    lines.append("| forecast | RMSE | deviance | Gini | orders bias | spend bias | spend MAE | calibration | Brier |")
    return [*lines, "|---|---|---|---|---|---|---|---|---|", *_rows(bench, bench.held_out)]


def _rows(bench: Bench, cut: int) -> list[str]:
    before = bench.chosen_on[0]
    forecasts = dict(naive_forecasts(bench.at(cut), bench.at(before), bench.after(before), bench.ltv.holdout))
    found = {model: bench.forecast(model, cut) for model in bench.ltv.models}
    forecasts |= {model: forecast for model, forecast in found.items() if forecast is not None}
    lines = []
    for name, forecast in forecasts.items():
        got = judge(forecast, bench.after(cut))
        brier = "" if got.brier is None else f"{got.brier:.3f} ({got.brier_constant:.3f})"
        numbers = (
            f"{got.rmse:.3f} | {got.deviance:.3f} | {got.gini:.3f} | {got.orders_bias:+.1%} | {got.spend_bias:+.1%}"
        )
        lines.append(f"| {name} | {numbers} | {got.spend_mae:.1f} | {got.calibration:.3f} | {brier} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--into", type=Path, default=Path("data/bench"))
    parser.add_argument("--options", default="models: [mbg_nbd]\ninterval: null\n", help="more YAML of the model")
    parser.add_argument("--catalog", help="backtest this catalog's model instead")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--as-of", type=date.fromisoformat)
    parser.add_argument("--score", default="ltv")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.catalog:
        print("\n".join(backtested(arguments.catalog, arguments.data, arguments.as_of, arguments.score)))
        return
    if arguments.inside:
        told = computed(arguments.inside, arguments.persons, arguments.options)
        (arguments.inside / "told.json").write_text(json.dumps(told), encoding="utf-8")
        return
    arguments.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.into) as folder:
        write_orders(Path(folder), arguments.persons)
        inside = ["--inside", folder, "--persons", str(arguments.persons), "--options", arguments.options]
        cost = measured("valtag_tests.bench.value", inside)
        told = json.loads((Path(folder) / "told.json").read_text(encoding="utf-8"))
    found = {"machine": machine(), "process": cost.to_json(), **told}
    write_json(arguments.into / f"value-{arguments.persons}.json", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

"""CDNOW through the product, from order lines: the published parameters, and the accuracy known for the sample."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.definitions import build_definitions
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.ltv.backtest import Bench, judge
from valtag_assets.engine.ltv.making import Making
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.session import Inputs
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import ResolvedLtv
from valtag_assets.graph.jobs import INTAKE
from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.snapshot import TableRef

CATALOG = Path(__file__).with_name("cdnow")
END = date(1998, 6, 30)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The sample as of the end of its data: 39 weeks held out, 39 before."""
    folder = tmp_path_factory.mktemp("cdnow")
    setting = Setting(resolve_catalog(CATALOG), folder)
    with dg.DagsterInstance.ephemeral() as instance:
        assert build_definitions(setting).resolve_job_def(INTAKE).execute_in_process(instance=instance).success
    score = setting.resolved.scores["ltv"]
    assert isinstance(score, ResolvedLtv)
    inputs: Inputs = {}
    for name in (PERSONS, "clean/orders"):
        snapshot = setting.warehouse.current(TableRef.parse(name))
        assert snapshot is not None
        inputs = {**inputs, name: snapshot.files}
    with open_duckdb() as engine:
        return Bench(Making(setting.resolved, score, END, engine, inputs, folder).persons(), score.spec)


PUBLISHED = {
    # Fader, Hardie and Lee (2005), "Counting your customers" the easy way, table 2; Batislam et al. (2007).
    "bg_nbd": ({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, -9582.4),
    "pareto_nbd": ({"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, -9595.0),
    "mbg_nbd": ({"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}, -9582.1),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_parameters_come_out_of_order_lines(bench: Bench, model: str) -> None:
    parameters, likelihood = PUBLISHED[model]
    fitted = bench.fitted(model, bench.held_out).orders
    assert fitted.log_likelihood == pytest.approx(likelihood, abs=0.06)
    for name, value in parameters.items():
        assert fitted.parameters[name] == pytest.approx(value, abs=0.0015), name
    assert fitted.customers == 2357


def test_the_known_accuracy_is_reached_on_the_39_weeks_held_out(bench: Bench) -> None:
    # A day of history is missing for a whole period before: the model is fitted all the same.
    fitted = bench.fitted("mbg_nbd", bench.held_out)
    got = judge(fitted.forecast(bench.at(bench.held_out), 273), bench.after(bench.held_out))
    assert got.rmse == pytest.approx(1.607, abs=0.002)
    assert got.deviance == pytest.approx(1.601, abs=0.002)
    assert got.gini == pytest.approx(0.664, abs=0.002)
    assert got.brier == pytest.approx(0.161, abs=0.002)
    assert got.spend_mae == pytest.approx(29.4, abs=0.3)

"""What the asset page of a model of customer value shows: choice, gate, plots, tiers, earlier backtests."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from valtag_assets.expression.resolved import ResolvedLtv
from valtag_assets.graph.ltv_figures import tiers_figure, validation_figure
from valtag_assets.graph.plots import as_image
from valtag_assets.graph.score_pages import concentration_page, transition_page
from valtag_assets.warehouse.snapshot import Snapshot, Verdict

MOST_EARLIER = 12


def ltv_page(score: ResolvedLtv, snapshot: Snapshot, earlier: Sequence[Snapshot]) -> dict[str, Any]:
    metrics = snapshot.metrics
    backtest, titles = metrics["backtest"], score.values[f"{score.code}_tier"]
    shown = {code: str(title) for code, title in titles.items()}
    return {
        "model 模型": metrics["model"],
        "why 选择理由": backtest["why"],
        "validation 检验": as_image(score.code, validation_figure, metrics),
        "held out 留出期": dg.MetadataValue.table(_held_out(backtest)),
        "gate 门槛": dg.MetadataValue.table([_gate(verdict) for verdict in _of_gate(snapshot)]),
        "tiers 价值分层": as_image("tiers", tiers_figure, metrics["tiers"], shown, score.currency),
        "tier table 分层表": dg.MetadataValue.table([_tier(row, shown) for row in metrics["tiers"]]),
        **transition_page(snapshot, titles, score.spec.compare),
        **concentration_page(snapshot, score.currency),
        "parameters 参数": dg.MetadataValue.table(_parameters(metrics)),
        "warnings 提示": "; ".join(metrics["warnings"]) or "none",
        "earlier backtests 历次回测": dg.MetadataValue.table(
            [_earlier(item) for item in (snapshot, *earlier)[:MOST_EARLIER]]
        ),
        "SQL": dg.MetadataValue.md(f"```sql\n{metrics.get('sql', '')}\n```"),
    }


def _of_gate(snapshot: Snapshot) -> list[Verdict]:
    return [verdict for verdict in snapshot.verdicts if verdict.check in snapshot.metrics["gate"]]


def _held_out(backtest: Mapping[str, Any]) -> list[dg.TableRecord]:
    """The winner first, then the forecasts without a model."""
    judged = backtest["held_out"]
    names = sorted(judged, key=lambda name: (name != backtest["winner"], name))
    return [dg.TableRecord({"forecast": name, **_numbers(judged[name])}) for name in names]


def _numbers(judged: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "" if value is None else f"{value:.4g}" for name, value in judged.items()}


def _gate(verdict: Verdict) -> dg.TableRecord:
    observed, expected = verdict.detail.get("observed"), verdict.detail.get("expected")
    return dg.TableRecord(
        {
            "check": verdict.check,
            "what": f"{verdict.detail['title']['zh']} · {verdict.detail['title']['en']}",
            "found": "not measured" if observed is None else f"{observed:.4g}",
            "allowed": "" if not isinstance(expected, dict) else ", ".join(f"{k} {v:g}" for k, v in expected.items()),
            "result": "passed" if verdict.passed else verdict.severity,
        }
    )


def _tier(row: Mapping[str, Any], titles: Mapping[str, str]) -> dg.TableRecord:
    persons = row["persons"]
    return dg.TableRecord(
        {
            "tier": titles[row["tier"]],
            "persons": persons,
            "spent so far": round(row["spend"], 2),
            "clv": round(row["clv"], 2),
            "clv a person": round(row["clv"] / persons, 2),
        }
    )


def _parameters(metrics: Mapping[str, Any]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord({"parameter": name, "value": f"{value:.6g}"}) for name, value in metrics["parameters"].items()
    ]


def _earlier(snapshot: Snapshot) -> dg.TableRecord:
    metrics = snapshot.metrics
    gate = {name: "" if value is None else f"{value:.4g}" for name, value in metrics.get("gate", {}).items()}
    return dg.TableRecord({"as of": str(snapshot.as_of), "model": str(metrics.get("model", "")), **gate})

"""Plots of a model of customer value, from the metrics of its snapshot: is it right, and what does it say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from valtag_assets.graph.figures import BLUE, RED, tidy

GREY = "#8a8a8a"
_LABEL = 7


def validation_figure(metrics: Mapping[str, Any]) -> Figure:
    """Six panels: orders by frequency, tracking, deciles, P(alive), Lorenz, lift."""
    figure = Figure(figsize=(11.5, 6.6))
    panels: list[tuple[str, Callable[[Axes, Mapping[str, Any]], None]]] = [
        ("复购次数分布：实际与预期 persons by repeat orders", _frequency),
        ("累计复购：实际与预期 cumulative repeat orders", _tracking),
        ("留出期十分位校准 held-out orders by decile", _deciles),
        ("仍活跃概率 P(alive)", _alive),
        ("洛伦兹曲线 share of orders by prediction", _lorenz),
        ("提升度 lift over the average", _lift),
    ]
    for number, (title, draw) in enumerate(panels):
        row, column = divmod(number, 3)
        axes = figure.add_axes((0.055 + column * 0.325, 0.585 - row * 0.5, 0.255, 0.345))
        draw(axes, metrics)
        axes.set_title(title, loc="left", fontsize=9)
        axes.tick_params(labelsize=_LABEL)
        if number != 3:
            tidy(axes)
    return figure


def tiers_figure(tiers: Sequence[Mapping[str, Any]], titles: Mapping[str, str], currency: str) -> Figure:
    """Shares of persons, of what was spent and of expected value, by tier."""
    known = {tier["tier"]: tier for tier in tiers}
    codes = [code for code in titles if code in known]
    figure = Figure(figsize=(9.5, 0.7 + 0.5 * max(1, len(codes))))
    axes = figure.add_axes((0.2, 0.16, 0.76, 0.62))
    series = (("persons", "人数 persons", GREY), ("spend", "历史消费 spent", BLUE), ("clv", "未来价值 CLV", RED))
    for number, (name, label, colour) in enumerate(series):
        whole = sum(known[code][name] for code in codes) or 1
        shares = [known[code][name] / whole for code in codes]
        places = [place + 0.27 * (number - 1) for place in range(len(codes))]
        axes.barh(places, shares, height=0.25, color=colour, label=label)
        for place, share, code in zip(places, shares, codes, strict=True):
            value = known[code][name]
            said = f"{value:,.0f}" + ("" if name == "persons" else f" {currency}")
            axes.text(share + 0.005, place, f"{share:.1%}（{said}）", va="center", fontsize=_LABEL)
    axes.set_yticks(range(len(codes)), [titles[code] for code in codes], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.legend(fontsize=_LABEL, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    tidy(axes)
    return figure


def _frequency(axes: Axes, metrics: Mapping[str, Any]) -> None:
    found = metrics["pictures"]["frequency"]
    places = range(len(found["orders"]))
    axes.bar([p - 0.2 for p in places], found["actual"], width=0.4, color=GREY, label="实际 actual")
    axes.bar([p + 0.2 for p in places], found["expected"], width=0.4, color=BLUE, label="预期 expected")
    axes.set_xticks(places, [*map(str, found["orders"][:-1]), f"{found['orders'][-1]}+"])
    axes.set_xlabel("首单之后的订单 repeat orders", fontsize=_LABEL)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(fontsize=_LABEL, frameon=False)


def _tracking(axes: Axes, metrics: Mapping[str, Any]) -> None:
    found = metrics["pictures"]["tracking"]
    if not found:
        axes.text(0.5, 0.5, "历史太短 too short a history", ha="center", va="center", fontsize=8)
        return
    ago = [-day for day in found["days"]]
    axes.plot(ago, found["actual"], color=GREY, label="实际 actual")
    axes.plot(ago, found["expected"], color=BLUE, linestyle="--", label="预期 expected")
    axes.axvline(-found["held_out"], color=RED, linewidth=0.8)
    axes.set_xlabel("距统计日天数 days to the as-of；红线后为留出期 red: held out from here", fontsize=_LABEL)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(fontsize=_LABEL, frameon=False)


def _deciles(axes: Axes, metrics: Mapping[str, Any]) -> None:
    rows = metrics["backtest"]["deciles"]
    axes.plot([row[0] for row in rows], [row[3] for row in rows], "o", color=GREY, markersize=4, label="实际 actual")
    axes.plot([row[0] for row in rows], [row[2] for row in rows], color=BLUE, label="预测 predicted")
    axes.set_xlabel("预测十分位，10 最高 decile of prediction, 10 is highest", fontsize=_LABEL)
    axes.set_ylabel("人均订单 orders a person", fontsize=_LABEL)
    axes.legend(fontsize=_LABEL, frameon=False)


def _alive(axes: Axes, metrics: Mapping[str, Any]) -> None:
    found = metrics["pictures"]["alive"]
    axes.imshow(found["alive"], cmap="Blues", aspect="auto", vmin=0, vmax=1, origin="lower")
    orders, silent = found["orders"], found["silent"]
    for row, chances in enumerate(found["alive"]):
        for column in range(0, len(silent), 2):
            colour = "white" if chances[column] > 0.6 else "black"
            axes.text(column, row, f"{chances[column]:.2f}", ha="center", va="center", fontsize=5.5, color=colour)
    axes.set_xticks(range(0, len(silent), 2), [f"{silent[n]:.0f}" for n in range(0, len(silent), 2)])
    axes.set_yticks(range(len(orders)), [f"{count:.0f}" for count in orders])
    axes.set_xlabel(
        f"距上次下单天数 days since the last order（首单 {found['known']:.0f} 天前 first order）", fontsize=_LABEL
    )
    axes.set_ylabel("订单日数 order days", fontsize=_LABEL)


def _lorenz(axes: Axes, metrics: Mapping[str, Any]) -> None:
    points = metrics["backtest"]["lorenz"]
    axes.plot([p[0] for p in points], [p[1] for p in points], color=BLUE)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("人数占比，预测高者在前 share of persons, highest prediction first", fontsize=_LABEL)


def _lift(axes: Axes, metrics: Mapping[str, Any]) -> None:
    points = [point for point in metrics["backtest"]["lorenz"] if point[0] >= 0.05]
    axes.plot([p[0] for p in points], [p[1] / p[0] for p in points], color=BLUE)
    axes.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.1f}×")
    axes.set_xlabel("触达人数占比 share of persons reached", fontsize=_LABEL)

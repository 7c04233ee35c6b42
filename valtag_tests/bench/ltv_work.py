"""One contender's work: ``python ltv_work.py NAME CUSTOMERS.npz INTO.npz`` in an environment that has it.

All do the same: read the customers, fit MBG/NBD to orders and Gamma-Gamma to the value of repeat orders, and score
each customer: P(alive), expected orders in 90 days, expected value of an order, and discounted value of 12 months.
Says as JSON the CPU seconds of its parts, and writes its parameters and scores.
"""

import json
import sys
import time
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
MONTH = 4.345
"""Weeks, as lifetimes has it."""
MONTHS, MONTHLY, HORIZON = 12, 0.01, 90 / 7


def valtag(of: Arrays, clock: "Clock") -> Arrays:
    from valtag_assets.models.counts import collapsed
    from valtag_assets.models.orders import discounted_orders, expected_orders, fit, p_alive
    from valtag_assets.models.spend import expected_spend, fit_spend

    # Dates make whole days; the models take any unit of time, and the parameters are given in weeks as the others'.
    history, mean = (of["x"], np.rint(of["t_x"] * 7), np.rint(of["T"] * 7)), of["mean"]
    repeat = of["x"] > 0
    clock("start")
    found = fit("mbg_nbd", collapsed(*history))
    spend = fit_spend(of["x"][repeat], mean[repeat], np.ones(repeat.sum()))
    assert found.faults() == spend.faults() == []
    clock("fit")
    value = expected_spend(spend, of["x"], mean)
    alive, orders = p_alive(found, *history), expected_orders(found, *history, HORIZON * 7)
    month = MONTH * 7
    worth = value * discounted_orders(found, *history, MONTHS * month, (1 + MONTHLY) ** (1 / month) - 1, month)
    clock("score")
    parameters = np.array([*found.parameters.values(), spend.p, spend.q, spend.gamma])
    parameters[1] /= 7
    return {"parameters": parameters, "alive": alive, "orders": orders, "value": value, "worth": worth}


def lifetimes(of: Arrays, clock: "Clock") -> Arrays:
    import lifetimes as library
    import pandas as pd

    x, t_x, T, mean = (pd.Series(of[name]) for name in ("x", "t_x", "T", "mean"))
    repeat = x > 0
    clock("start")
    model = library.ModifiedBetaGeoFitter()
    model.fit(x, t_x, T)
    spend = library.GammaGammaFitter()
    spend.fit(x[repeat], mean[repeat])
    clock("fit")
    value = spend.conditional_expected_average_profit(x, mean)
    orders = model.conditional_expected_number_of_purchases_up_to_time(HORIZON, x, t_x, T)
    alive = model.conditional_probability_alive(x, t_x, T)
    worth = spend.customer_lifetime_value(model, x, t_x, T, mean, time=MONTHS, discount_rate=MONTHLY, freq="W")
    clock("score")
    names = [model.params_[name] for name in ("r", "alpha", "a", "b")], spend.params_.loc[["p", "q", "v"]]
    return {"parameters": np.concatenate(names), "alive": np.asarray(alive), "orders": np.asarray(orders),
            "value": np.asarray(value), "worth": np.asarray(worth)}  # fmt: skip


def pymc_marketing(of: Arrays, clock: "Clock") -> Arrays:
    import pandas as pd
    from pymc_marketing import clv

    rows = pd.DataFrame({"customer_id": np.arange(len(of["x"])), "frequency": of["x"], "recency": of["t_x"],
                         "T": of["T"], "monetary_value": of["mean"]})  # fmt: skip
    clock("start")
    model = clv.ModifiedBetaGeoModel(rows[["customer_id", "frequency", "recency", "T"]])
    model.fit(method="map", progressbar=False)
    spend = clv.GammaGammaModel(rows.loc[rows["frequency"] > 0, ["customer_id", "frequency", "monetary_value"]])
    spend.fit(method="map", progressbar=False)
    clock("fit")
    value = spend.expected_customer_spend(rows)
    alive = model.expected_probability_alive(rows)
    orders = model.expected_purchases(rows, future_t=HORIZON)
    # Its own sum over months wants a model object inside another; this is the same sum by hand.
    worth, before = np.zeros(len(rows)), np.zeros(len(rows))
    for month in range(1, MONTHS + 1):
        until = np.ravel(model.expected_purchases(rows, future_t=month * MONTH))
        worth += (until - before) / (1 + MONTHLY) ** month
        before = until
    clock("score")
    fitted = [float(np.ravel(model.fit_result[name])[0]) for name in ("r", "alpha", "a", "b")]
    fitted += [float(np.ravel(spend.fit_result[name])[0]) for name in ("p", "q", "v")]
    return {"parameters": np.array(fitted), "alive": np.ravel(alive), "orders": np.ravel(orders),
            "value": np.ravel(value), "worth": np.ravel(value) * worth}  # fmt: skip


class Clock:
    """CPU seconds since the last call, kept by name."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = 0.0

    def __call__(self, part: str) -> None:
        now = time.process_time()
        self.parts[part] = round(now - self._last, 2)
        self._last = now


def main() -> None:
    name, customers, into = sys.argv[1:]
    contenders: dict[str, Any] = {"valtag": valtag, "lifetimes": lifetimes, "pymc-marketing": pymc_marketing}
    clock = Clock()
    with np.load(customers) as stored:
        of = dict(stored)
    np.savez(into, **contenders[name](of, clock))
    print("figures", json.dumps(clock.parts))


if __name__ == "__main__":
    main()

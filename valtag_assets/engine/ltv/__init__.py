"""Customer lifetime value: histories as arrays, forecasts, the backtest that chooses and judges, scoring."""

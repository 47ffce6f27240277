"""The report: every model side by side, out of fold, with simulated portfolios, counts and intervals."""

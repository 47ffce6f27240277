"""The graph of stages and the one function that says what is fresh, stale or missing."""

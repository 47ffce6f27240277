"""The graph of correlated names, from past returns only."""

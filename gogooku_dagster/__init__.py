"""Orchestration of gogooku: thin Dagster definitions over the pure library in ``model``."""

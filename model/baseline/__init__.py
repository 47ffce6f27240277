"""Baselines that every network has to beat: LightGBM, ridge, one-day reversal, random."""

"""The feature catalogue and the engine that computes it, point in time and exactly recomputable."""

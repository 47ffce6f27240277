"""Typed, closed settings and the presets they are read from."""

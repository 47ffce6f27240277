"""Qlib's Alpha158 feature set, declared in the feature language and equal to Qlib's definitions value for value."""

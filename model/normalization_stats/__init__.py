"""Cross-sectional statistics, clip bounds and target scales of a fold, and the one way to apply them."""

"""The gated, split-adjusted panel, the point-in-time universe and the quarantined rows."""

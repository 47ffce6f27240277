"""The data checks that ``quality.checks`` may name, by asset.

Settings are read by every command and must not import the rooms that hold the checks; a test keeps the two equal.
"""

CHECKS_OF: dict[str, tuple[str, ...]] = {
    "daily_quotes": (
        "schema",
        "duplicates",
        "price_sanity",
        "number_of_names",
        "names_against_day_before",
        "null_shares",
        "tables_beside",
    ),
    "raw_dataset": (
        "in_step_with_days",
        "no_missing_trading_day",
        "continuity_at_splits",
        "quarantined_share",
        "coverage",
        "panel_null_shares",
        "tables_needed",
        "outliers",
        "stale_prices",
        "suspected_splits",
        "suspected_adjustments",
        "suspected_reuse",
        "suspected_units",
    ),
    "quality_features": (
        "null_rates",
        "finite",
        "catalogue_matches_columns",
        "no_look_ahead",
        "labels_null_only_where_they_must_be",
        "label_distribution",
    ),
}
"""Names of an asset's checks, in the order in which they run."""

DATA_CHECKS: tuple[str, ...] = tuple(name for names in CHECKS_OF.values() for name in names)
"""Every name once: the settings speak of a check without its asset."""

"""Names of a fold's baselines, for whoever reads them without fitting."""

ASSET = "baseline"
NETWORK_FEATURE = "network_feature.parquet"

"""Parquet files as sequences of encoded columns, so that what did not change need not be encoded again."""

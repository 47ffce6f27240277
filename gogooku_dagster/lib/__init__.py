"""Dagster-aware parts that define no assets: home, partitions, materialisation, metadata, tracking, progress."""

"""The science of gogooku: pure functions over typed tables and tensors.

Nothing here knows about Dagster, environment variables or global state. Each sub-package is one room,
named like the asset it computes.
"""

"""The ``gogooku`` command: it runs things through Dagster and prints for people."""

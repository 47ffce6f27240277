"""Speed and memory of the pipeline, measured on the real thing."""

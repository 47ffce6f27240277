"""Forward returns and what can be traded: the sister table of the features."""

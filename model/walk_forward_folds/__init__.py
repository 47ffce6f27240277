"""Walk-forward folds: which trading days train, validate and test, and the fingerprint of what they read."""

"""Fold tensors: month shards shared by all folds, and the panel that a network trains on."""

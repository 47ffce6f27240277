"""The features, one module a group, one declaration a feature."""

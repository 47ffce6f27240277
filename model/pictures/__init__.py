"""The house look of the pictures that assets show in the UI; each asset draws its own in ``pictures.py``."""

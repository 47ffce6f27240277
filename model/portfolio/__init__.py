"""Portfolios simulated from rankings: books, execution under constraints, one cost object, capacity."""

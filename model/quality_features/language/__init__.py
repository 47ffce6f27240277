"""The language that features are declared in: expressions, their operators, and how they are planned and evaluated."""

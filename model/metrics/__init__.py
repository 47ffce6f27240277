"""One definition of each figure: information coefficients, portfolio performance, their uncertainty."""

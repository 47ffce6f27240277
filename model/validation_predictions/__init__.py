"""Out-of-fold predictions of the trained network, with their labels and the market they trade in."""

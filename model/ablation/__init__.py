"""What each part of the network is worth, on simulated markets whose signals are known."""

"""ATFT-GAT-FAN: the network, one part a module, each usable alone and named as in its paper."""

"""The network's training: losses, batches of whole days, four phases, guards, checkpoints, inference."""

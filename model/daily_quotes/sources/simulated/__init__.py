"""A seeded market of its own with planted signals, and the best prediction anybody could make of it."""

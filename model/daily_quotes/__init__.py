"""What the source said for each trading day: as received, in canonical form, and when it became known."""

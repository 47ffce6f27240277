"""The artefact store: atomic writes, manifests, content hashes, and the one staleness function."""

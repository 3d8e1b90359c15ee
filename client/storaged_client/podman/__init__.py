"""podman's shapes and words for what storaged answers: for ``storagectl``, and for the daemon's gateway."""

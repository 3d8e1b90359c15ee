"""podman's forms and words for storaged's answers: for ``storagectl``, and for the daemon's gateway."""

"""podman's forms and words for storaged's answers: for ``storagectl``, and for the daemon's gateway."""

PODMAN = "5.8.6"
"""The release that storagectl, the daemon and its gateway emulate and are compared with."""

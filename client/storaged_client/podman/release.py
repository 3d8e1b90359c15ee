"""The podman release that storagectl, the daemon and its gateway emulate and are compared with."""

PODMAN = "5.8.6"

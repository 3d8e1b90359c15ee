"""Which podman's answers these are: that which storagectl, the daemon and its gateway are compared with."""

PODMAN = "5.8.6"

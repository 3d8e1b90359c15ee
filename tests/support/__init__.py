"""What tests of several folders share: stores, daemons, clients, real tools, reports."""

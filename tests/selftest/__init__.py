"""Tests of the acceptance commands and benchmarks: each runs at a small scale and finds the mistakes planted for it."""

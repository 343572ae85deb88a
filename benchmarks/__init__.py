"""Benchmarks: `make bench` runs them all and renews the README's table."""

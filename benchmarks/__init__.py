"""Benchmarks: each file is one plug-in."""

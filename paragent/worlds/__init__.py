"""Worlds that agents act in: state and rules only. The benchmarks that use them give the tasks."""

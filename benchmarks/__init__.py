"""Benchmarks, each a module that is run by `python -m benchmarks.NAME`, and all of them by `python -m benchmarks`."""

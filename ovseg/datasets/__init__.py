"""Benchmark datasets and the transforms that read them."""

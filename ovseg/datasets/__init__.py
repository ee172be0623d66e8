"""Benchmark datasets, the transforms that read them, and the procedural scenes.

Nothing is imported here, so that the scenes can be rendered without mmseg; `builtin` imports, and
thereby registers, every dataset and transform.
"""

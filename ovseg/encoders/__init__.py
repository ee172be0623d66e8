"""Frozen foundation models behind small interfaces, and how their weights are found."""

"""Files that are part of the package: the nano models."""

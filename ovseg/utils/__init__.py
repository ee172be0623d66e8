"""Small helpers every room may use; they know nothing of models or datasets."""

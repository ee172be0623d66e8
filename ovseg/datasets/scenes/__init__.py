"""The procedural scenes: images with exact ground truth and captions, drawn from nothing but seeds.

`render` and its neighbours need only NumPy and OpenCV; `dataset` puts scenes into configs.
"""

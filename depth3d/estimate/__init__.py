"""Depth estimation: the registry of models, preprocessing, and `DepthEstimator`."""

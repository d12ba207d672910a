"""Torch plumbing: devices, dtypes, memory-bounded batches."""

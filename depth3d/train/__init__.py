"""Training: losses, data, the loop, and fine-tuning of Depth Anything V2."""

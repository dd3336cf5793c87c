"""How good a model is, in numbers that can be compared: bits per byte of held-out text."""

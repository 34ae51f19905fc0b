"""Distillation: one file a method, pure functions over tensors and thin modules with state."""

"""Distillation: one file a method, pure functions over tensors and thin modules with state."""

from edgekd.rooms import is_a_verb

is_a_verb(__name__)

"""Training: the loop, its checkpoints, and what a run folder holds."""

from edgekd.rooms import is_a_verb

is_a_verb(__name__)

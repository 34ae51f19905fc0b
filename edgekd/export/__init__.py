"""Export: the graph that ships, and the proof that it computes what the trained network does."""

from edgekd.rooms import is_a_verb

is_a_verb(__name__)

"""Export: the graph that ships, and the proof that it computes what the trained network does."""

"""Measuring what was trained: benchmarks, scores and sample pictures, of runs and of exported files alike."""

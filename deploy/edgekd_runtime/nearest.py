"""What was meant by a word that is not known."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """``; did you mean 'x'?`` for the closest known word, or nothing.

    Args:
        word: As it was given.
        known: What it could have been.
        cutoff: Similarity that the closest must have, 0–1.
    """
    import difflib  # no command line that is right waits for it

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""

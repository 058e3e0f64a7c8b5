"""The nouns every room shares, and the one tree of errors; standard library only."""

"""Several worker processes behind one port: one parent that starts, feeds and ends them, and serves none.

The parent (`supervisor`, `worker`, `port`, `balance`) uses the standard library alone, so that it stays small and
can hardly fail. Each worker is a whole gateway; `seat` is its end of the wire to the parent. What they say to each
other (`channel`) is one JSON array a line, a word first.
"""

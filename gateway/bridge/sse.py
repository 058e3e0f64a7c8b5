"""Event blocks in the one form that every reader of chat streams takes (pure).

One `data:` line and a blank line, LF only, no other field lines. A comment is a block of its own: in one block
with data it makes Dify drop that data. Line separators of Unicode are escaped, because some readers split at them.
"""

import json
from json.encoder import encode_basestring

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"


def block(value: object) -> bytes:
    """One event with a JSON value."""
    return b"data: " + escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode() + b"\n\n"


def string(text: str) -> str:
    """A JSON string literal, ready to stand in a block."""
    literal: str = encode_basestring(text)
    return literal if text.isascii() else escaped(literal)


def escaped(literal: str) -> str:
    """JSON text without the characters that are line ends to some readers and not to others."""
    if literal.isascii():
        return literal
    return literal.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")

"""The reading process: takes documents on standard input, answers on standard output, one at a time.

`python -m gateway.search.reader_worker BYTES` with the most memory it may address. It has no secrets: the gateway
starts it with an empty environment, and ends it when a document takes too long.
"""

import os
import resource
import sys
from typing import BinaryIO

from gateway.search import reader_frames
from gateway.search.outline import UnreadableFileError
from gateway.search.reading import read

# What a hostile document may make a parser raise, beside what `read` translates.
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, AssertionError)


def main() -> int:
    """Serves until standard input ends."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    source = sys.stdin.buffer
    # Nothing that a library prints may end up between two frames.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sink.write(reader_frames.READY)
    sink.flush()
    while (document := _next(source)) is not None:
        sink.write(_answer(*document))
        sink.flush()
    return 0


def _next(source: BinaryIO) -> tuple[bytes, str, str] | None:
    head = _frame(source)
    content = _frame(source)
    if head is None or content is None:
        return None
    mime_type, charset = reader_frames.wishes(head)
    return content, mime_type, charset


def _frame(source: BinaryIO) -> bytes | None:
    size = source.read(reader_frames.LENGTH.size)
    if len(size) < reader_frames.LENGTH.size:
        return None
    (length,) = reader_frames.LENGTH.unpack(size)
    return source.read(length)


def _answer(content: bytes, mime_type: str, charset: str) -> bytes:
    try:
        return reader_frames.reply(read(content, mime_type, charset))
    except UnreadableFileError as error:
        return reader_frames.refusal(str(error))
    except MemoryError:
        return reader_frames.refusal("needs too much memory to be read")
    except _BROKEN:
        return reader_frames.refusal("cannot be read; it is damaged")


if __name__ == "__main__":
    sys.exit(main())

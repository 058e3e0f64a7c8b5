"""What stays the same around the text of plain events, so that text can be cut out instead of parsed (pure).

A template is learned from one event and proven on it: with another text in the same place, the event parses to the
same but for that text. A JSON string ends at its first quote, so this holds for every text that needs no escape.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_NEEDS_PARSING = re.compile(rb'["\\\x00-\x1f]').search
_FIELDS = ("content", "reasoning_content")
_WITH_EFFECT = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls")


@dataclass(frozen=True, slots=True)
class Template:
    """The bytes before and after the text, and the field of the delta that it stands in."""

    field: str
    before: bytes
    after: bytes

    def fits(self, payload: bytes) -> bool:
        """Whether an event has these bytes around its text."""
        return payload.startswith(self.before) and payload.endswith(self.after)

    def cut_all(self, payloads: Sequence[bytes]) -> str | None:
        """The text of all these events, found by what lies between two texts; None where one needs more.

        A line feed in a text or in an event would be confused with the one that joins two events, so it is among
        what needs parsing.
        """
        block = payloads[0] if len(payloads) == 1 else b"\n".join(payloads)
        before, after = self.before, self.after
        if len(block) < len(before) + len(after) or not (block.startswith(before) and block.endswith(after)):
            return None
        block = block[len(before) : -len(after)]
        if len(payloads) > 1:
            texts = block.split(after + b"\n" + before)
            if len(texts) != len(payloads) or b"" in texts:
                return None
            block = b"".join(texts)
        # Letters beyond ASCII may be cut between two events, which is for each event's own decoding to judge.
        if not block or not block.isascii() or _NEEDS_PARSING(block):
            return None
        return block.decode("ascii")

    def cut(self, payloads: Sequence[bytes], start: int) -> list[str]:
        """The texts of the events from `start` on, up to the first one that must be parsed."""
        before, after, texts = self.before, self.after, []
        first, last = len(before), -len(after)
        try:
            for payload in payloads[start:] if start else payloads:
                if not (payload.startswith(before) and payload.endswith(after)):
                    break
                text = payload[first:last]
                if not text or _NEEDS_PARSING(text):
                    break
                texts.append(text.decode())
        except UnicodeDecodeError:
            pass  # what is no UTF-8 is for the parser to judge
        return texts


def learn(payload: bytes, decode: Callable[[bytes], object]) -> Template | None:
    """The template of a plain event: one choice, one text, and nothing else that has an effect. Else None."""
    chunk = _decoded(payload, decode)
    delta = _only_delta(chunk)
    if delta is None:
        return None
    said = [name for name in _WITH_EFFECT if delta.get(name)]
    if len(said) != 1 or said[0] not in _FIELDS:
        return None
    field, text = said[0], delta[said[0]]
    before, found, after = payload.partition(f'"{field}":"{text}"'.encode("utf-8", "replace"))
    if not found:
        return None
    template = Template(field, before + f'"{field}":"'.encode(), b'"' + after)
    other = delta[field] = f"{text}+"
    proven = _decoded(template.before + other.encode("utf-8", "replace") + template.after, decode) == chunk
    return template if proven else None


def _decoded(payload: bytes, decode: Callable[[bytes], object]) -> object:
    try:
        return decode(payload)
    except ValueError:
        return None


def _only_delta(chunk: object) -> dict[str, object] | None:
    """The delta of a chunk with one choice, the first, which goes on; with an error or usage it is not plain."""
    if not isinstance(chunk, dict) or chunk.get("usage") or chunk.get("error"):
        return None
    match chunk.get("choices"):
        case [{"delta": dict(delta)} as choice] if not (choice.get("index") or choice.get("finish_reason")):
            return delta
    return None

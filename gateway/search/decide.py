"""Decides whether a question is worth a search, and with which words; pure.

Rules in a fixed order, each with a name that is the reason. The words searched for are always the user's own,
in their order; a follow-up may add words of the messages before it, never replace one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.text import content_words, mostly_cjk, sentences, terms
from gateway.domain.turn import SearchMode
from gateway.search import phrases

MAX_QUERY_CHARS = 256
MAX_BORROWED_WORDS = 8
_UNITS = frozenset("年月日元万亿")
_HEAD_CHARS, _TAIL_CHARS = 3_000, 1_000


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to search, with which words (empty when not), and the name of the rule that said so.

    Reasons for a search: always, requested, url, fresh, question, follow_up, lookup, facts. Against one: never,
    empty, small_talk, arithmetic, given_text, creative, personal, conversation, statement.
    """

    search: bool
    query: str
    reason: str


def decide(question: str, mode: SearchMode, previous: Sequence[str] = ()) -> Decision:
    """Whether `question` is searched. `previous` are the user's earlier messages, oldest first.

    A text without one word to look for is never searched, not even under ALWAYS: there is no query to send.
    """
    text = _both_ends(question.strip())
    if mode is SearchMode.NEVER:
        return Decision(False, "", "never")
    search, reason = (True, "always") if mode is SearchMode.ALWAYS else _judge(text)
    query = query_for(text, previous) if search else ""
    if search and not content_words(query):
        return Decision(False, "", "empty")
    if mode is SearchMode.AUTO and search and not content_words(text):
        reason = "follow_up"
    return Decision(search, query, reason)


def query_for(text: str, previous: Sequence[str] = ()) -> str:
    """The words to look for: the user's own without courtesies, at most 256 characters, whole words.

    A question that leans on what was said ("and on Redis?") gets content words of the messages before it, up to
    the last one that stands alone. A year of its own ("and in 2025?") takes the place of the years said before.
    """
    own = _cut(_asking_part(_without(phrases.COURTESY_LAST, _without(phrases.COURTESY_FIRST, text))))
    if not _leans(text):
        return own
    known, dated = set(terms(own)), any(map(_is_year, content_words(own)))
    borrowed: dict[str, None] = {}
    for earlier in map(_both_ends, reversed(previous)):
        words = [word for word in content_words(earlier) if not known.issuperset(terms(word))]
        borrowed.update(dict.fromkeys(word for word in words if not (dated and _is_year(word))))
        if borrowed and not _leans(earlier):
            break
    return _cut(" ".join([own, *list(borrowed)[:MAX_BORROWED_WORDS]]).strip())


def _leans(text: str) -> bool:
    """Whether a short question points at what was said before: by a word, or by having no subject of its own."""
    bare = all(word.isdecimal() or word in _UNITS for word in content_words(text))
    return len(terms(text)) <= 12 and (bare or bool(phrases.LEANS.search(text)))


def _is_year(word: str) -> bool:
    return len(word) == 4 and word.isdecimal() and word[:2] in ("18", "19", "20")


def _asks(text: str) -> bool:
    return any(rule.search(text) for rule in (phrases.REQUESTED, phrases.QUESTION, phrases.URL))


def _is_fresh_or_linked(text: str) -> bool:
    return bool(phrases.URL.search(text) or phrases.FRESH.search(text))


def _is_keywords(text: str) -> bool:
    """Whether the text is a few words as typed into a search box: mostly content, one line, no sentence."""
    count, every = len(terms(text)), len(text.split())
    few = count <= 14 if mostly_cjk(text) else count <= 7 and 2 * len(content_words(text)) > every
    return count > 0 and few and "\n" not in text and not re.search(r"[.。!！]\s", text)


_Test = Callable[[str], object]
# The first rule that holds decides; each test reads the text without the courtesies before it.
_RULES: tuple[tuple[str, bool, _Test], ...] = (
    ("arithmetic", False, phrases.ARITHMETIC.fullmatch),
    ("given_text", False, lambda text: phrases.GIVEN_TEXT.search(text) and not phrases.URL.search(text)),
    ("creative", False, lambda text: phrases.CREATIVE.search(text) and not _is_fresh_or_linked(text)),
    ("personal", False, lambda text: phrases.PERSONAL.search(text) and not _asks(text)),
    ("conversation", False, phrases.CONVERSATION.search),
    ("url", True, phrases.URL.search),
    ("fresh", True, phrases.FRESH.search),
    ("question", True, phrases.QUESTION.search),
    ("lookup", True, phrases.LOOKUP.search),
    ("facts", True, lambda text: phrases.FACTS.search(text) or phrases.NAME.search(text)),
    ("lookup", True, _is_keywords),
)


def _judge(text: str) -> tuple[bool, str]:
    if not re.search(r"\w", text):
        return False, "empty"
    if phrases.SMALL_TALK.fullmatch(text):
        return False, "small_talk"
    bare = _without(phrases.COURTESY_FIRST, text)
    for reason, search, test in _RULES:
        if test(bare):
            return search, reason
    return (True, "requested") if phrases.REQUESTED.search(text) else (False, "statement")


def _without(courtesy: re.Pattern[str], text: str) -> str:
    while (rest := courtesy.sub("", text, count=1)) != text and re.search(r"\w", rest):
        text = rest
    return text.strip()


def _both_ends(text: str) -> str:
    """A long paste says what it wants at its beginning or at its end; the middle is not worth the reading."""
    if len(text) <= _HEAD_CHARS + _TAIL_CHARS:
        return text
    return f"{text[:_HEAD_CHARS]}\n{text[-_TAIL_CHARS:]}"


def _asking_part(text: str) -> str:
    """Of a text too long for a query: its asking sentences, or else all of it."""
    if len(text) > MAX_QUERY_CHARS:
        text = " ".join(s for s in sentences(text) if phrases.QUESTION.search(s)) or text
    return " ".join(text.split())


def _cut(text: str) -> str:
    if len(text) <= MAX_QUERY_CHARS:
        return text
    border = text.rfind(" ", 0, MAX_QUERY_CHARS + 1)
    return text[: border if border > MAX_QUERY_CHARS // 2 else MAX_QUERY_CHARS]

"""Splits human text into sentences and words and guesses its tokens; English and Chinese, standard library only.

Everything here is a heuristic that needs no dictionary. Chinese, Japanese and Korean runs are compared by
overlapping pairs of characters (bigrams), the usual index unit where words are not spaced.
"""

import math
import re
import unicodedata
from collections.abc import Iterator

CJK = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_CLOSERS = "\"'”’」』）)】》»"

_CJK_RUN = re.compile(f"[{CJK}]+")
_WORD = re.compile(
    rf"(?P<cjk>[{CJK}]+)|(?P<number>\d++(?:[.,:]\d++)*+)(?![^\W\d_{CJK}])|(?P<word>[^\W{CJK}_]+(?:['’][^\W{CJK}_]+)*[+#]*)"
)
_BORDER = re.compile(
    rf"\n+|[。！？｡]+[{_CLOSERS}]*|[!?…]+[{_CLOSERS}]*(?=\s|$|[{CJK}])"
    rf"|\.+[{_CLOSERS}]*(?:\[\d{{1,3}}\])*(?=\s|$)"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|cf|al|fig|no|vol|pp|approx|inc|ltd|corp|jan|feb|mar|apr"
    r"|jun|jul|aug|sept?|oct|nov|dec|[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|\d{1,2})$",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,2}$")

_STOP_WORDS = frozenset(
    """a about above after again all also am an and any are aren't as at be because been before being below
    between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each
    else even ever few for from further get give had has have haven't having he her here hers him his how how's
    however i i'd i'll i'm i've if in into is isn't it it's its itself just let let's like many may me might mine
    more most much must my no nor not now of off on once one only or other our ours out over own please really
    same say says shall she should show so some such tell than thanks that that's the their theirs them then
    there there's these they they're this those though through to too under until up upon us use used using very
    want was wasn't we were weren't what what's when where where's whether which while who who's whom whose why
    will with won't would wouldn't yes yet you you're your yours""".split()  # noqa: SIM905 - reads as prose
)
# Longest first: "是什么时候" must go before "什么", or its rest becomes a content word. Of single characters only
# those that are seldom part of a word: 都 would cut 首都 in two.
_STOP_PHRASES = re.compile(
    "是什么时候|什么时候|是不是|有没有|能不能|会不会|可不可以|为什么|是什么|有什么|有哪些|有多少|怎么样|怎么办|告诉我"
    "|多少钱|请问|请你|帮我|给我|我想|知道|一下|什么|怎么|怎样|如何|哪些|哪个|哪里|哪儿|哪年|多少|是否|能否|可以|应该"
    "|需要|因为|所以|但是|而且|以及|或者|还是|如果|那么|这个|那个|这些|那些|这里|那里|我们|你们|他们|它们|自己|关于|对于"
    "|其中|已经|正在|[的了吗呢吧啊呀么哦嘛是在和与及把被这那我你您他她它们也很谁哪]"
)
_ENDINGS = ("ing", "ed")


def fold(text: str) -> str:
    """The text in one comparable shape: NFKC, then case-folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def mostly_cjk(text: str) -> bool:
    """Whether a reader would call the text Chinese, Japanese or Korean: a third of its letters are."""
    letters = sum(1 for char in text if char.isalpha())
    return letters > 0 and 3 * sum(len(run) for run in _CJK_RUN.findall(text)) >= letters


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence stands (start, end), without the white space around it; a line end is a border too."""
    start = 0
    for found in _BORDER.finditer(text):
        if found.group().startswith(".") and _is_inside(text, start, found.start()):
            continue
        yield from _trimmed(text, start, found.end())
        start = found.end()
    yield from _trimmed(text, start, len(text))


def sentences(text: str) -> list[str]:
    """The sentences of the text, in order, each without the white space around it."""
    return [text[start:end] for start, end in sentence_spans(text)]


def content_words(text: str) -> list[str]:
    """The words that carry meaning, as written: no function words; a Chinese run without its particles."""
    found: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        if match.lastgroup == "cjk":
            found += [piece for piece in _STOP_PHRASES.split(match.group()) if piece]
        elif match.group().replace("’", "'").casefold() not in _STOP_WORDS:
            found.append(match.group())
    return found


def terms(text: str) -> list[str]:
    """What two texts are compared by: stems of the content words, numbers as digits, CJK bigrams; in order."""
    found: list[str] = []
    for word in content_words(text):
        if _CJK_RUN.match(word):
            found += [word] if len(word) == 1 else [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(stem(word.casefold()))
    return found


def stem(word: str) -> str:
    """A light English stem of a case-folded word: plural, -ing, -ed and a last e go; numbers lose their commas."""
    if word[:1].isdigit():
        return word.replace(",", "")
    word = re.sub(r"['’]s?$", "", word)
    if len(word) < 4 or not word.isascii():
        return word
    word = _singular(word)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and re.search("[aeiouy]", word[: -len(ending)]):
            word = re.sub(r"([bdfgmnprt])\1$", r"\1", word[: -len(ending)])
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def token_weight(text: str) -> float:
    """A guess at the model tokens of the text, in fractions: it adds up over pieces.

    0.3 per character, 0.6 per CJK character: DeepSeek's own rule of thumb ("Token & Token Usage").
    """
    wide = sum(len(run) for run in _CJK_RUN.findall(text))
    return 0.3 * len(text) + 0.3 * wide


def estimate_tokens(text: str) -> int:
    """The same guess as a whole number, rounded up."""
    return math.ceil(token_weight(text))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _is_inside(text: str, start: int, dot: int) -> bool:
    """Whether the full stop at `dot` belongs to an abbreviation, an initial or a list number, not to an end."""
    before = text[start:dot]
    if _LIST_NUMBER.search(before):
        return True
    tail = before[-12:]
    if not _ABBREVIATION.search(tail):
        return False
    after = text[dot + 1 : dot + 40].lstrip()
    # "in 12." may end a sentence: only a lower-case continuation makes the number part of a longer one.
    return not re.search(r"\d$", tail) or after[:1].islower()


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    lead = len(piece) - len(piece.lstrip())
    stripped = piece.strip()
    if stripped:
        yield start + lead, start + lead + len(stripped)

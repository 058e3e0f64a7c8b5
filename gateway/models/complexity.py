"""How much a question asks of a model, from 0 (small talk) to 1, told from its text alone (pure).

A rough measure that needs no model: length, words that ask for reasoning, code or formulas, several questions in
one.
"""

import re

_LONG = 1_600
_CUES = re.compile(
    r"\b(?:prove|derive|deduce|compare|contrast|analy[sz]e|evaluate|design|architect|implement|refactor|debug"
    r"|optimi[sz]e|trade-?offs?|step by step|root cause|algorithm|complexity|theorem|strategy)\b"
    r"|证明|推导|比较|分析|评估|设计|实现|重构|调试|优化|步骤|算法|定理|策略|权衡|为什么",
    re.I,
)
_FORMAL = re.compile(r"```|\\\(|\\\[|\$\$|[∑∫√≤≥≠∀∃]|\b(?:def|class|SELECT|function|import)\b.*[(:{]")
_QUESTIONS = re.compile(r"[?？](?:\s|$)")


def complexity(question: str) -> float:
    """The score; only the first 8,000 characters are looked at."""
    text = question[:8_000]
    length = min(1.0, len(text.encode("utf-8", "replace")) / _LONG)
    cues = min(1.0, len(set(map(str.lower, _CUES.findall(text)))) / 2)
    formal = 1.0 if _FORMAL.search(text) else 0.0
    several = min(1.0, max(0, len(_QUESTIONS.findall(text)) - 1) / 3)
    return 0.35 * length + 0.35 * cues + 0.2 * formal + 0.1 * several

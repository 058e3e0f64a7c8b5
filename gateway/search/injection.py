"""Reports what in a text from outside tries to steer its reader: orders, fake roles, hidden or encoded text; pure.

A report, not a filter: flags stand on the source for the caller, and in the evidence for the model. Wording is
endless, so nothing relies on these patterns; the promise is kept by `cleaning.py` and `evidence.py`.
"""

import re
import unicodedata

from gateway.search.cleaning import TEMPLATE_MARK, hidden, visible

INSTRUCTION_LIKE = "instruction_like"
ROLE_MARKS = "role_marks"
HIDDEN_TEXT = "hidden_text"
ENCODED_TEXT = "encoded_text"

# Found in honest text: soft hyphen, byte-order mark, direction marks, emoji joiners and presentation selectors.
_HARMLESS = frozenset("\u00ad\ufeff\u200b\u200c\u200d\u200e\u200f\ufe0e\ufe0f\r")
_ROLE_LINE = re.compile(
    r"^\s{0,8}\[?(?:system|assistant|developer)(?: (?:message|prompt|note|override))?\]?\s?:\s", re.I | re.M
)
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9+/]{120,}={0,2}(?![A-Za-z0-9+/=_.-])")
_ENGLISH = re.compile(
    r"""\b(?:ignore|disregard|forget|override|bypass|skip)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|preceding
        |all|any|your|these|system)\b[^.\n]{0,40}
        \b(?:instructions?|prompts?|rules?|messages?|context|guidelines?|directions?|told)\b
    | \byou\s(?:are|will\sbe|must\sact\sas)\s(?:now\s)?(?:an?\s)?(?:\w{1,20}\s){0,2}
        (?:assistant|AI|model|chatbot|DAN|agent|jailbroken|unrestricted)\b
    | \bfrom\snow\son\b[^.\n]{0,30}\byou\b | \bnew\s(?:system\s)?instructions?\s?:
    | \b(?:reveal|print|repeat|output|show|leak|disclose|send)\b[^.\n]{0,40}
        \b(?:system\sprompt|your\s(?:\w{1,20}\s)?instructions|hidden\s(?:context|prompt)|(?:api|secret)\skeys?
        |the\sconversation|user'?s?\s(?:message|question|data|history))\b
    | \b(?:do\snot|don't|never)\s(?:tell|mention|inform|warn)\b[^.\n]{0,30}\b(?:user|reader|anyone|human)\b
    | \b(?:AI|assistants?|language\smodels?|LLMs?|chatbots?)\b[^.\n]{0,30}\b(?:must|should|shall|need\sto|please)\b
        [^.\n]{0,40}\b(?:say|answer|respond|reply|recommend|write|include|visit|click|call|search|ignore|output|cite)\b
    | \b(?:respond|reply|answer)\s(?:only|exclusively|always)\s(?:with|in)\b
    | \b(?:call|invoke|run|execute|use)\sthe\s[\w-]{1,30}\s(?:tool|function)\b
    | \b(?:copy|repeat|append|include|insert)\s(?:this|the\sfollowing)\s(?:text|message|paragraph|sentence
        |line|link)\b[^.\n]{0,60}\b(?:answer|reply|response|output|messages?)\b
    | \bsearch\s(?:the\sweb\s)?for\b[^.\n]{0,60}\bbefore\s(?:answering|you\sanswer)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_CHINESE = re.compile(
    r"(?:忽略|无视|忘记|忘掉|跳过|绕过|覆盖|不要理会)[^。\n]{0,20}(?:指令|指示|提示|规则|要求|命令|上文|设定|内容)"
    r"|你现在是|从现在(?:开始|起),?你|你必须(?:扮演|回答|输出)|请扮演"
    r"|(?:输出|泄露|显示|打印|告诉我|发送|重复)[^。\n]{0,15}(?:系统提示|提示词|系统指令|密钥|对话记录|用户的)"
    r"|(?:不要|切勿|禁止)(?:告诉|提醒|提及)[^。\n]{0,10}(?:用户|读者)"
)
_OTHERS = re.compile(
    r"\b(?:ignor[ae]|ignorar|ignore[rz]|olvida|descarta|oublie[rz]?|ignorieren?|vergiss|esque[çc]a)\b[^.\n]{0,40}"
    r"\b(?:instruc\w{1,12}|anweisung(?:en)?|consignes?|istruzioni)\b"
    r"|(?:игнорируй|забудь)[^.\n]{0,40}(?:инструкц|указани|правил)"
    r"|(?:前の|以前の|これまでの|上記の)[^。\n]{0,10}指示[^。\n]{0,6}無視|(?:이전|위의)[^.\n]{0,10}(?:지시|명령)[^.\n]{0,6}무시",
    re.IGNORECASE,
)


def flags(raw: str, cleaned: str) -> tuple[str, ...]:
    """What a reader should know about a text: `raw` as it came, `cleaned` as it will be shown."""
    seen = visible(raw)
    # Korean is compared in composed letters, whatever the page used.
    shown = unicodedata.normalize("NFC", cleaned)
    found = (
        (INSTRUCTION_LIKE, any(kind.search(shown) for kind in (_ENGLISH, _CHINESE, _OTHERS))),
        (ROLE_MARKS, bool(TEMPLATE_MARK.search(seen) or _ROLE_LINE.search(seen))),
        (HIDDEN_TEXT, bool(hidden(raw) - _HARMLESS)),
        (ENCODED_TEXT, bool(_ENCODED.search(shown))),
    )
    return tuple(name for name, holds in found if holds)

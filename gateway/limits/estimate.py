"""How many tokens a prompt will have for DeepSeek, before DeepSeek counts them.

A linear model over kinds of characters. The weights were fitted (least squares of the relative error) on recorded
answers of api.deepseek.com: 84 different prompts with their `usage.prompt_tokens`, and 5,184 streamed deltas, one
token each. Nothing recorded is Chinese: that weight is DeepSeek's own figure, "1 Chinese character ≈ 0.6 token"
(api-docs.deepseek.com, Token & Token Usage). The real count always replaces the estimate when the turn is settled.
"""

from collections.abc import Callable, Sequence

from gateway.domain.turn import Generation, Image, Message, Role, Thinking, Tool, ToolMode

CountText = Callable[[str], int]
"""Tokens of a text: `count_text`, or DeepSeek's own tokenizer where the operator gives its file."""

RESERVE_PERCENT = 105
DEFAULT_MAX_TOKENS = 2_048
DEFAULT_MAX_TOKENS_THINKING = 8_192

# Thousandths of a token per character.
_LETTER = 87
_UPPER_MORE = 230
_DIGIT = 590
_SPACE = 645
_LINE = 375
_PUNCTUATION = 770
_TWO_BYTE = 700
_CJK = 600
_FOUR_BYTE = 2_000
_DENSEST_WORDS = 200
"""No text has fewer than this: base64 and the like have letters without spaces."""

# JSON of tools: its punctuation is merged (`":{"` is one token) where that of prose is not.
_JSON_SPACE = 400
_JSON_PUNCTUATION = 580

# What the chat template adds, in tokens.
_PROMPT_FRAME = 4
_MESSAGE_FRAME = 1
_TOOLS_FRAME = 216
_TOOL_FRAME = 20
_CALL_FRAME = 35
_ARGUMENT_TAGS = 2
"""A call in the history is written with a tag around each argument: its text counts this often."""
_EFFORT_FRAME = 78
"""An instruction that DeepSeek puts before prompts that think hard; not all recordings have it."""
_JSON_FRAME = 18
_IMAGE = 1_024
"""Unverified: DeepSeek publishes no figure for images."""

_UPPER = bytes(range(65, 91))
_LETTERS = _UPPER + bytes(range(97, 123))
_DIGITS = b"0123456789"
_LINES = b"\n\r\t"
_ASCII = bytes(range(128))
_LEAD_2 = bytes(range(0xC2, 0xE0))
_LEAD_3 = bytes(range(0xE0, 0xF0))
_LEAD_4 = bytes(range(0xF0, 0xF5))


def count_text(text: str) -> int:
    """Tokens of a text as a model would write or read it, at least 1 unless it is empty."""
    return _whole(_weigh(text, _SPACE, _PUNCTUATION))


def prompt_tokens(
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    generation: Generation | None = None,
    count: CountText = count_text,
) -> int:
    """Tokens of a whole prompt: messages, tools and what the chat template adds around them."""
    options = generation or Generation()
    tools = _shown(tools, options)
    calling = any(message.tool_calls for message in messages)
    total = _PROMPT_FRAME + sum(_message_tokens(message, calling, count) for message in messages)
    if tools:
        total += _TOOLS_FRAME + sum(_tool_tokens(tool, count) for tool in tools)
    if options.thinking in (Thinking.HIGH, Thinking.MAX):
        total += _EFFORT_FRAME
    if options.json_object or options.json_schema:
        total += _JSON_FRAME + count(options.json_schema)
    return total


def reserve_tokens(prompt: int) -> int:
    """What is held for a prompt that was estimated at `prompt` tokens: 1.05 times it, rounded up."""
    return -(-prompt * RESERVE_PERCENT // 100)


def effective_max_tokens(generation: Generation, model_cap: int = 0, tenant_cap: int = 0, default: int = 0) -> int:
    """The smallest of the wish (or the default) and both caps; a cap of 0 is none. Reasoning counts in it.

    `default` replaces the shipped defaults, 2,048 and with thinking 8,192.
    """
    thinks = generation.thinking not in (None, Thinking.OFF)
    shipped = DEFAULT_MAX_TOKENS_THINKING if thinks else DEFAULT_MAX_TOKENS
    wish = generation.max_tokens or default or shipped
    return max(1, min(wish, model_cap or wish, tenant_cap or wish))


def _shown(tools: Sequence[Tool], options: Generation) -> Sequence[Tool]:
    """Recorded: with tool_choice none no tool reaches the model, with a named one only that tool."""
    if options.tool_mode is ToolMode.NONE:
        return ()
    if options.tool_mode is ToolMode.NAMED:
        return [tool for tool in tools if tool.name == options.tool_name]
    return tools


def _message_tokens(message: Message, calling: bool, count: CountText) -> int:
    total = _MESSAGE_FRAME + count(message.text) + count(message.refusal)
    total += _IMAGE * sum(isinstance(part, Image) for part in message.parts)
    if calling and message.role is Role.ASSISTANT:
        total += count(message.reasoning)  # recorded: without calls in the history it is dropped
    for call in message.tool_calls:
        total += _CALL_FRAME + _ARGUMENT_TAGS * count(call.name + call.arguments_json)
    return total


def _tool_tokens(tool: Tool, count: CountText) -> int:
    text = tool.name + tool.description + tool.parameters_json
    if count is not count_text:
        return _TOOL_FRAME + count(text)
    return _TOOL_FRAME + _whole(_weigh(text, _JSON_SPACE, _JSON_PUNCTUATION))


def _weigh(text: str, space: int, punctuation: int) -> int:
    """Thousandths of a token; `bytes.translate` counts each kind of character at the speed of C."""
    data = text.encode("utf-8", "replace")
    rest = data.translate(None, _LETTERS)
    letters = len(data) - len(rest)
    upper = letters and len(data) - len(data.translate(None, _UPPER))
    digits = _count(rest, _DIGITS)
    spaces = rest.count(b" ")
    lines = _count(rest, _LINES)
    plain = len(data) if data.isascii() else _count(data, _ASCII)
    marks = plain - letters - digits - spaces - lines
    total = letters * _LETTER + upper * _UPPER_MORE + digits * _DIGIT + lines * _LINE
    total += (spaces - data.count(b"  ")) * space + marks * punctuation  # indentation is merged
    total = max(total, (letters + digits) * _DENSEST_WORDS)
    return total if plain == len(data) else total + _weigh_foreign(rest)


def _weigh_foreign(data: bytes) -> int:
    return _count(data, _LEAD_2) * _TWO_BYTE + _count(data, _LEAD_3) * _CJK + _count(data, _LEAD_4) * _FOUR_BYTE


def _count(data: bytes, kind: bytes) -> int:
    return len(data) - len(data.translate(None, kind))


def _whole(thousandths: int) -> int:
    return -(-thousandths // 1000)

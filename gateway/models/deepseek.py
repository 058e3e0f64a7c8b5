"""DeepSeek: its models, their names and what its API wants differently (api-docs.deepseek.com, November 2026)."""

import ssl
from collections.abc import Callable

from gateway.models import ModelCard
from gateway.models.openai_compatible import OpenAICompatible, ignore
from gateway.models.openai_request import Quirks

BASE_URL = "https://api.deepseek.com"

_FEATURES = ("streaming", "thinking", "tools", "json")
CARDS = (
    ModelCard(
        name="deepseek-flash",
        owner="deepseek",
        provider="deepseek",
        context_tokens=1_000_000,
        max_output_tokens=384_000,
        capabilities=(*_FEATURES, "vision"),
        # Retired models whose names DeepSeek still accepts and bills as flash; Dify sends the first.
        aliases=("deepseek-v4-flash", "deepseek-v4-flash-vision-exp"),
    ),
    ModelCard(
        name="deepseek-v4-pro",
        owner="deepseek",
        provider="deepseek",
        context_tokens=1_000_000,
        max_output_tokens=384_000,
        capabilities=_FEATURES,
    ),
)
QUIRKS = Quirks(
    user_field="user_id",
    thinking_field="thinking",
    effort_field="reasoning_effort",
    reasoning_back="reasoning_content",
    forced_tools_while_thinking=False,
    max_stop=16,
)


def create(
    *,
    api_key: str,
    base_url: str = BASE_URL,
    connect_timeout_s: float = 3.0,
    read_bufsize: int = 65536,
    tls: ssl.SSLContext | None = None,
    observe: Callable[[str, int], None] = ignore,
) -> OpenAICompatible:
    """DeepSeek with one API key; the arguments are those of `OpenAICompatible`."""
    return OpenAICompatible(
        "deepseek",
        base_url=base_url,
        api_key=api_key,
        cards=CARDS,
        quirks=QUIRKS,
        connect_timeout_s=connect_timeout_s,
        read_bufsize=read_bufsize,
        tls=tls,
        observe=observe,
    )

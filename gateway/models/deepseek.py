"""DeepSeek with one key: the provider that its profile describes."""

import ssl
from collections.abc import Callable

from gateway.models.openai_compatible import OpenAICompatible, ignore
from gateway.models.profiles import PROFILES

PROFILE = PROFILES["deepseek"]
BASE_URL = PROFILE.base_url
CARDS = PROFILE.cards
QUIRKS = PROFILE.quirks


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

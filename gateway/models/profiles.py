"""What each kind of OpenAI-compatible server wants differently, as data (pure).

Told from the vendors' own documentation, November 2026, and where there are recordings, from these. A new kind of
server is a new entry here and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gateway.domain.turn import Thinking
from gateway.models import ModelCard
from gateway.models.openai_request import Quirks

_DEEPSEEK_FEATURES = ("streaming", "thinking", "tools", "json")
_EFFORTS_TO_HIGH = MappingProxyType({Thinking.LOW: "low", Thinking.HIGH: "high", Thinking.MAX: "high"})


def _template_switch(name: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Thinking as a variable of the chat template, on and off."""
    return (
        MappingProxyType({"chat_template_kwargs": {name: True}}),
        MappingProxyType({"chat_template_kwargs": {name: False}}),
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of server.

    `base_url` is the vendor's own address, empty where every operator has another. `key_header` carries the key,
    as `Authorization: Bearer` unless it names another header. `cards` are the models that it serves without being
    told.
    """

    quirks: Quirks = field(default_factory=Quirks)
    base_url: str = ""
    needs_key: bool = False
    key_header: str = "Authorization"
    cards: tuple[ModelCard, ...] = ()


_DEEPSEEK_CARDS = (
    ModelCard(
        name="deepseek-flash",
        owner="deepseek",
        provider="deepseek",
        context_tokens=1_000_000,
        max_output_tokens=384_000,
        capabilities=(*_DEEPSEEK_FEATURES, "vision"),
        # Retired models: DeepSeek still accepts the first two names and bills them as flash (Dify sends the
        # first); the third it refuses, and its callers mean what is flash today. None of them is ever sent.
        aliases=("deepseek-v4-flash", "deepseek-v4-flash-vision-exp", "deepseek-chat"),
        thinking_aliases=("deepseek-reasoner",),
        family="deepseek",
        thinks_without_tool_demand=True,
        wants_reasoning_back=True,
    ),
    ModelCard(
        name="deepseek-v4-pro",
        owner="deepseek",
        provider="deepseek",
        context_tokens=1_000_000,
        max_output_tokens=384_000,
        capabilities=_DEEPSEEK_FEATURES,
        family="deepseek",
        thinks_without_tool_demand=True,
        wants_reasoning_back=True,
    ),
)
_QWEN_ON, _QWEN_OFF = _template_switch("enable_thinking")
# https://docs.vllm.ai/en/stable/features/reasoning_outputs.html: Qwen's templates read one name, DeepSeek's
# another, and a template ignores what it does not read.
_BOTH_ON = MappingProxyType({"chat_template_kwargs": {"enable_thinking": True, "thinking": True}})
_BOTH_OFF = MappingProxyType({"chat_template_kwargs": {"enable_thinking": False, "thinking": False}})
_OWN_SERVER = Quirks(user_field="", json_schema=True, max_stop=16, names_models=False)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        # https://api-docs.deepseek.com
        "deepseek": Profile(
            Quirks(
                user_field="user_id",
                thinking_field="thinking",
                effort_field="reasoning_effort",
                reasoning_back="reasoning_content",
                forced_tools_while_thinking=False,
                max_stop=16,
            ),
            base_url="https://api.deepseek.com",
            needs_key=True,
            cards=_DEEPSEEK_CARDS,
        ),
        # https://platform.openai.com/docs/api-reference/chat
        "openai": Profile(
            Quirks(
                max_tokens_field="max_completion_tokens",
                user_field="safety_identifier",
                effort_field="reasoning_effort",
                efforts=_EFFORTS_TO_HIGH,
                json_schema=True,
                strict_tools=True,
            ),
            base_url="https://api.openai.com/v1",
            needs_key=True,
        ),
        # https://learn.microsoft.com/azure/ai-foundry/openai/latest: the v1 API, whose base URL ends in
        # /openai/v1; the name of a model there is that of its deployment.
        "azure": Profile(
            Quirks(
                max_tokens_field="max_completion_tokens",
                effort_field="reasoning_effort",
                efforts=_EFFORTS_TO_HIGH,
                json_schema=True,
                strict_tools=True,
            ),
            needs_key=True,
            key_header="api-key",
        ),
        "vllm": Profile(replace(_OWN_SERVER, thinking_on=_BOTH_ON, thinking_off=_BOTH_OFF)),
        "sglang": Profile(replace(_OWN_SERVER, thinking_on=_BOTH_ON, thinking_off=_BOTH_OFF)),
        # https://github.com/ggml-org/llama.cpp/tree/master/tools/server
        "llamacpp": Profile(replace(_OWN_SERVER, thinking_on=_QWEN_ON, thinking_off=_QWEN_OFF)),
        # https://docs.ollama.com/api/openai-compatibility
        "ollama": Profile(
            replace(_OWN_SERVER, max_stop=4, effort_field="reasoning_effort", efforts=_EFFORTS_TO_HIGH),
            base_url="http://127.0.0.1:11434/v1",
        ),
        # https://www.alibabacloud.com/help/en/model-studio/deep-thinking
        "dashscope": Profile(
            Quirks(
                user_field="",
                thinking_on=MappingProxyType({"enable_thinking": True}),
                thinking_off=MappingProxyType({"enable_thinking": False}),
            ),
            base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            needs_key=True,
        ),
        # https://openrouter.ai/docs/use-cases/reasoning-tokens
        "openrouter": Profile(
            Quirks(
                thinking_on=MappingProxyType({"reasoning": {"enabled": True}}),
                thinking_off=MappingProxyType({"reasoning": {"enabled": False}}),
                json_schema=True,
                strict_tools=True,
            ),
            base_url="https://openrouter.ai/api/v1",
            needs_key=True,
        ),
    }
)

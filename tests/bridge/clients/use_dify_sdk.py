"""Dify's own model class: `python use_dify_sdk.py URL KEY`; prints what it got as one JSON line."""

import json
import sys

from dify_plugin import OAICompatLargeLanguageModel  # patches blocking calls on import, so it comes first
from dify_plugin.entities.model.message import (
    AssistantPromptMessage,
    PromptMessageTool,
    ToolPromptMessage,
    UserPromptMessage,
)
from dify_plugin.errors.model import CredentialsValidateFailedError

url, key = sys.argv[1:]
credentials = {
    "endpoint_url": url,
    "api_key": key,
    "mode": "chat",
    "context_size": "65536",
    "max_tokens_to_sample": "4096",
    "function_calling_type": "tool_call",
    "stream_function_calling": "supported",
    "stream_mode_delimiter": "\n\n",
}
tool = PromptMessageTool(
    name="get_weather",
    description="The weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
model = OAICompatLargeLanguageModel([])
hello, weather = UserPromptMessage(content="hello"), UserPromptMessage(content="the weather?")


def stream(messages, tools=None, **parameters):
    text, calls, finish, usage = "", [], None, None
    for chunk in model._generate("deepseek-flash", credentials, messages, parameters, tools=tools, stream=True):
        delta = chunk.delta
        text += delta.message.content or ""
        calls += delta.message.tool_calls
        finish, usage = delta.finish_reason or finish, delta.usage or usage
    return {
        "text": text,
        "calls": [[call.function.name, call.function.arguments] for call in calls],
        "finish": finish,
        "tokens": usage.total_tokens if usage else None,
    }, calls


def follow_up(first, calls):
    history = [
        weather,
        AssistantPromptMessage(content="", tool_calls=calls),
        ToolPromptMessage(content="24 C, sunny", tool_call_id=calls[0].id),
    ]
    return stream(history, [tool], thinking={"type": "enabled"})[0]


model.validate_credentials("deepseek-flash", credentials)
try:
    model.validate_credentials("deepseek-flash", {**credentials, "api_key": "wrong"})
    bad_key = "accepted"
except CredentialsValidateFailedError:
    bad_key = "refused"
blocking = model._generate("deepseek-flash", credentials, [hello], {}, stream=False)
called, calls = stream([weather], [tool])
print(
    json.dumps(
        {
            "bad_key": bad_key,
            "blocking": blocking.message.content,
            "blocking_tokens": blocking.usage.total_tokens,
            "stream": stream([hello])[0],
            "thinking": stream([hello], thinking={"type": "enabled"})[0],
            "tool": called,
            "follow_up": follow_up(called, calls),
        }
    )
)

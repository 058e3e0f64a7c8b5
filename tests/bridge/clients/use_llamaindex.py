"""LlamaIndex's OpenAI class: `python use_llamaindex.py URL KEY`; prints what it got as one JSON line."""

import json
import sys

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

url, key = sys.argv[1:]


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 24 C, sunny"


model = OpenAILike(
    model="deepseek-flash",
    api_base=url,
    api_key=key,
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=65536,
    max_retries=0,
)
hello = [ChatMessage(role="user", content="hello")]
whole = model.chat(hello)
streamed = "".join(chunk.delta or "" for chunk in model.stream_chat(hello))
tool = FunctionTool.from_defaults(fn=get_weather)
asked = model.chat_with_tools([tool], user_msg="the weather?")
call = model.get_tool_calls_from_response(asked)[0]
history = [
    ChatMessage(role="user", content="the weather?"),
    asked.message,
    ChatMessage(role="tool", content="24 C, sunny", additional_kwargs={"tool_call_id": call.tool_id}),
]
print(
    json.dumps(
        {
            "blocking": whole.message.content,
            "stream": streamed,
            "tool": [call.tool_name, call.tool_kwargs],
            "follow_up": model.chat_with_tools([tool], chat_history=history).message.content,
        }
    )
)

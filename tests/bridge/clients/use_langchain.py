"""LangChain's OpenAI class: `python use_langchain.py URL KEY`; prints what it got as one JSON line."""

import json
import sys

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

url, key = sys.argv[1:]


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 24 C, sunny"


model = ChatOpenAI(model="deepseek-flash", base_url=url, api_key=key, max_retries=0, stream_usage=True)
whole = model.invoke("hello")
streamed = None
for chunk in model.stream("hello"):
    streamed = chunk if streamed is None else streamed + chunk
bound = model.bind_tools([get_weather])
asked = bound.invoke("the weather?")
call = asked.tool_calls[0]
history = [
    HumanMessage("the weather?"),
    AIMessage(content="", tool_calls=asked.tool_calls),
    ToolMessage(content=get_weather.invoke(call["args"]), tool_call_id=call["id"]),
]
print(
    json.dumps(
        {
            "blocking": whole.content,
            "stream": streamed.content,
            "tokens": streamed.usage_metadata["total_tokens"],
            "tool": [call["name"], call["args"]],
            "follow_up": bound.invoke(history).content,
        }
    )
)

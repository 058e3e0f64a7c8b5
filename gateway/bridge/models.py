"""`GET /v1/models`: what the caller may use, in OpenAI's form."""

from dataclasses import dataclass

from aiohttp import web

from gateway.bridge.calls import Calls
from gateway.bridge.errors import refused
from gateway.bridge.incoming import caller_of
from gateway.bridge.outgoing import json_response
from gateway.v1 import inference_pb2


@dataclass(frozen=True, slots=True)
class Models:
    """The handlers of models."""

    calls: Calls

    async def list(self, request: web.Request) -> web.Response:
        """Every model."""
        found = await self.calls.models(caller_of(request))
        return json_response({"object": "list", "data": [_model(item) for item in found.models]})

    async def get(self, request: web.Request) -> web.Response:
        """One model by its name."""
        name = request.match_info["name"]
        found = await self.calls.models(caller_of(request))
        for item in found.models:
            if item.name == name:
                return json_response(_model(item))
        raise refused(404, "model_not_found", "there is no such model; GET /v1/models shows which there are")


def _model(item: inference_pb2.Model) -> dict[str, object]:
    return {
        "id": item.name,
        "object": "model",
        "created": 0,
        "owned_by": item.owner,
        "context_length": item.context_tokens,
        "max_output_tokens": item.max_output_tokens,
        "capabilities": list(item.capabilities),
        "local": item.local,
        "nano_usd_per_1k_tokens": {
            "prompt": item.prompt_nano_usd,
            "cached_prompt": item.cached_prompt_nano_usd,
            "completion": item.completion_nano_usd,
        },
    }

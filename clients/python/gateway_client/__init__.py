"""A client for the inference gateway: `GatewayClient` for asyncio, `gateway_client.sync` for everyone else.

Needs the base install alone. What the gateway refuses, or cannot do, is raised as `GatewayCallError`.
"""

from gateway_client.answer import Answer, AnswerFold, fold
from gateway_client.channel import Tls
from gateway_client.client import GatewayClient
from gateway_client.conversation import Conversation, RunningTurn
from gateway_client.errors import (
    FieldViolation,
    GatewayCallError,
    GatewayClientError,
    QuotaViolation,
    SettingsError,
    TokenUnavailable,
)
from gateway_client.oauth import ClientCredentials
from gateway_client.streams import FrameStream, PredictFacts, PredictStream
from gateway_client.sync import SyncGatewayClient
from gateway_client.tokens import FileToken, StaticToken, TokenSource

__all__ = [
    "Answer",
    "AnswerFold",
    "ClientCredentials",
    "Conversation",
    "FieldViolation",
    "FileToken",
    "FrameStream",
    "GatewayCallError",
    "GatewayClient",
    "GatewayClientError",
    "PredictFacts",
    "PredictStream",
    "QuotaViolation",
    "RunningTurn",
    "SettingsError",
    "StaticToken",
    "SyncGatewayClient",
    "Tls",
    "TokenSource",
    "TokenUnavailable",
    "fold",
]

"""Every method there is, with the scope it needs; what is not listed here does not exist."""

from collections.abc import Mapping

import deepseek_pb2
from gateway.server.account import Account
from gateway.server.converse import Converse
from gateway.server.grpc_server import Method
from gateway.server.inference import Inference
from gateway.server.search import Search
from gateway.v1 import account_pb2, inference_pb2, search_pb2

READ, STREAM, SEARCH, ANY = "model.read", "model.stream", "search", ""


def methods(
    inference: Inference, converse: Converse, search: Search, account: Account
) -> Mapping[str, Mapping[str, Method]]:
    """Methods by service."""
    return {
        "gateway.v1.Inference": {
            "Converse": Method(
                STREAM, inference_pb2.ClientFrame, converse.converse, streams_in=True, streams_out=True
            ),
            "Generate": Method(STREAM, inference_pb2.Turn, inference.generate, streams_out=True),
            "Complete": Method(READ, inference_pb2.Turn, inference.complete),
            "ListModels": Method(READ, inference_pb2.ListModelsRequest, inference.list_models),
        },
        "gateway.v1.Search": {
            "Query": Method(SEARCH, search_pb2.SearchRequest, search.query),
            "Extract": Method(SEARCH, search_pb2.ExtractRequest, search.extract),
        },
        "gateway.v1.Account": {
            "GetLimits": Method(ANY, account_pb2.GetLimitsRequest, account.get_limits),
            "GetReceipt": Method(ANY, account_pb2.GetReceiptRequest, account.get_receipt),
        },
        "deepseek.DeepSeek": {
            "StreamPredict": Method(STREAM, deepseek_pb2.ModelRequest, inference.stream_predict, streams_out=True),
        },
    }

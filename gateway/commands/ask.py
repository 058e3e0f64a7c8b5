"""`gateway ask`: one question, its answer as it comes, its sources."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from google.protobuf.json_format import MessageToDict

from gateway.commands import connection
from gateway.commands.connection import DONE, FAILED, WRONG_USAGE, complain
from gateway.commands.provenance import sentences_of
from gateway.commands.terminal import AnswerView, Look
from gateway.v1 import content_pb2, inference_pb2
from gateway_client.client import GatewayClient
from gateway_client.errors import GatewayClientError, SettingsError
from gateway_client.settings import read_settings
from gateway_client.turns import TurnOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("question", help="the question; - reads it from standard input")
    parser.add_argument(
        "--json", action="store_true", help="print each ServerFrame as one line of JSON, then the sentences"
    )
    connection.configure(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the answer; returns 0, 1 when the call failed, 2 when there is nothing to ask or a bad setting."""
    try:
        question = sys.stdin.read() if args.question == "-" else args.question
        if not question.strip():
            complain("ask", "there is no question")
            return WRONG_USAGE
        options = connection.turn_options(args)
        options["prompt"] = question
        look = connection.look(
            read_settings(), reasoning=args.show_reasoning, searches=args.search == "always", provenance=True
        )
        client = GatewayClient(args.target, **connection.client_options(args))
        asyncio.run(_print_frames(client, options) if args.json else _print_answer(client, options, look))
    except SettingsError as error:
        complain("ask", str(error))
        return WRONG_USAGE
    except UnicodeError:
        complain("ask", connection.NOT_UTF8)
        return WRONG_USAGE
    except GatewayClientError as error:
        complain("ask", str(error))
        return FAILED
    return DONE


async def _print_answer(client: GatewayClient, options: TurnOptions, look: Look) -> None:
    view = AnswerView(look)
    connection.write(view.begin())
    async with client, client.generate(**options) as frames:
        try:
            async for frame in frames:
                connection.write(view.show(frame))
        finally:
            connection.write(view.close())


async def _print_frames(client: GatewayClient, options: TurnOptions) -> None:
    answer, citations = bytearray(), []
    async with client, client.generate(**options) as frames:
        async for frame in frames:
            answer += frame.delta.text.encode()
            if frame.HasField("citation"):
                citations.append(frame.citation)
            sys.stdout.write(f"{frame_line(frame)}\n")
            sys.stdout.flush()
    if citations:
        sys.stdout.write(f"{sentences_line(bytes(answer), citations)}\n")


def sentences_line(answer: bytes, citations: Sequence[content_pb2.Citation]) -> str:
    """Where each sentence comes from, as the last line of JSON; one without a citation is its text alone."""
    told = [
        {
            "text": sentence.text,
            **({"source_ids": sentence.source_ids} if sentence.source_ids else {}),
            **({"support": content_pb2.Support.Name(sentence.support)} if sentence.support else {}),
            **({"evidence": sentence.evidence} if sentence.evidence else {}),
        }
        for sentence in sentences_of(answer, citations)
    ]
    return json.dumps({"sentences": told}, separators=(",", ":"))


def frame_line(frame: inference_pb2.ServerFrame) -> str:
    """The frame as one line of proto JSON with the names of the proto: 64-bit numbers are strings there."""
    members = MessageToDict(frame, preserving_proto_field_name=True)
    return json.dumps(members, separators=(",", ":"))

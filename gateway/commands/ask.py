"""`gateway ask`: one question, its answer as it comes, its sources."""

import argparse
import asyncio
import json
import sys

from google.protobuf.json_format import MessageToDict

from gateway.commands import connection
from gateway.commands.connection import DONE, FAILED, WRONG_USAGE, complain
from gateway.commands.terminal import AnswerView, Look
from gateway.v1 import inference_pb2
from gateway_client.client import GatewayClient
from gateway_client.errors import GatewayClientError, SettingsError
from gateway_client.settings import read_settings
from gateway_client.turns import TurnOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("question", help="the question; - reads it from standard input")
    parser.add_argument("--json", action="store_true", help="print each ServerFrame as one line of JSON")
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
        look = connection.look(read_settings(), reasoning=args.show_reasoning)
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
    async with client, client.generate(**options) as frames:
        try:
            async for frame in frames:
                connection.write(view.show(frame))
        finally:
            connection.write(view.close())


async def _print_frames(client: GatewayClient, options: TurnOptions) -> None:
    async with client, client.generate(**options) as frames:
        async for frame in frames:
            sys.stdout.write(f"{frame_line(frame)}\n")
            sys.stdout.flush()


def frame_line(frame: inference_pb2.ServerFrame) -> str:
    """The frame as one line of proto JSON with the names of the proto: 64-bit numbers are strings there."""
    members = MessageToDict(frame, preserving_proto_field_name=True)
    return json.dumps(members, separators=(",", ":"))

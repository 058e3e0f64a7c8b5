"""`gateway bridge`: the HTTP bridge alone, before one gateway or many."""

import argparse
import asyncio
import signal
import sys

import uvloop

from gateway import http_port, settings
from gateway.bridge.server import BridgePort
from gateway.domain.errors import OperatorError
from gateway.telemetry import logging as telemetry_logging
from gateway_client.errors import SettingsError
from gateway_client.settings import read_settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG); its [http] section counts")
    parser.add_argument(
        "--address", default=None, metavar="HOST:PORT", help="where to listen (GATEWAY_HTTP_ADDRESS)"
    )
    parser.add_argument(
        "--target", default=None, metavar="HOST:PORT", help="the gateways (default: GATEWAY_GRPC_TARGET)"
    )


def run(args: argparse.Namespace) -> int:
    """Serves until a signal."""
    try:
        loaded = settings.load(args.config)
        gateways = http_port.other_gateways(loaded, read_settings(), args.target)
    except settings.ConfigurationError as error:
        sys.stderr.write("".join(f"gateway bridge: {fault}\n" for fault in error.faults))
        return 2
    except SettingsError as error:
        sys.stderr.write(f"gateway bridge: {error}\n")
        return 2
    address = args.address or loaded.http.address
    if not address:
        sys.stderr.write("gateway bridge: http.address is empty; set GATEWAY_HTTP_ADDRESS or --address\n")
        return 2
    telemetry_logging.configure(loaded.log.level, loaded.log.format)
    bridge = BridgePort(address, gateways, http_port.options(loaded))
    try:
        return uvloop.run(serve(bridge, address, gateways.target))
    except OperatorError as error:
        sys.stderr.write(f"gateway bridge: {error.message}\n")
        return 1


async def serve(bridge: BridgePort, address: str, target: str) -> int:
    """Listens, waits for a signal, closes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await http_port.started(bridge, address)
        sys.stdout.write(f"gateway bridge listens on {bridge.url}, before {target}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await bridge.aclose()
    return 0

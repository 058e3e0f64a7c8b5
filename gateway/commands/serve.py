"""`gateway serve`: the gateway, in this process or, with several workers, in processes of their own.

Only what is served with is loaded: the parent of several workers needs no gRPC.
"""

import argparse
from importlib import import_module

from gateway import settings
from gateway.settings import ConfigurationError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--dev", action="store_true", help="loopback only, with a token issuer of its own")
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")
    # For the parent of several workers alone: the descriptors of its wires.
    parser.add_argument("--seat", default="", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serves until the first signal and drains then; the second signal ends it at once."""
    several = not args.seat and _workers(args.config) > 1
    code: int = import_module(f"gateway.commands.{'supervising' if several else 'serving'}").run(args)
    return code


def _workers(path: str | None) -> int:
    try:
        return settings.load(path).workers
    except ConfigurationError:
        # Who serves looks at all of the configuration, and says everything that is wrong with it.
        return 1

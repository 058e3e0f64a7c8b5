"""`gateway forget`: makes everything unreadable that gateways keep sealed for a tenant."""

import argparse
import asyncio
import sys
from dataclasses import replace

from gateway import caching, settings
from gateway.auth.policy import TENANT
from gateway.domain.errors import OperatorError
from gateway.settings import ConfigurationError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.description = (
        "Destroys the salt that a tenant's sealed values rest on: kept answers and reasoning, in Redis, on disks "
        "and in backups of them, cannot be read again by anybody. Receipts stay. A tenant that goes on asking "
        "gets a new salt."
    )
    parser.add_argument("tenant", help="the tenant's name")
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")
    parser.add_argument("--data-dir", default=None, help="the gateway's data directory (GATEWAY_DATA_DIR)")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 a place of salts could not be reached, 2 wrong usage or configuration."""
    if TENANT.fullmatch(args.tenant) is None:
        sys.stderr.write(f"gateway forget: {args.tenant!r} is no name of a tenant\n")
        return 2
    try:
        loaded = settings.load(args.config)
        if args.data_dir:
            loaded = replace(loaded, data=replace(loaded.data, dir=args.data_dir))
        asyncio.run(caching.forget(loaded, args.tenant))
    except ConfigurationError as error:
        sys.stderr.write("".join(f"gateway forget: {fault}\n" for fault in error.faults))
        return 2
    except OperatorError as error:
        sys.stderr.write(f"gateway forget: {error.message}; nothing is forgotten yet, call again\n")
        return 1
    sys.stdout.write(f"forgot {args.tenant}: running gateways drop what they hold within half a minute\n")
    return 0

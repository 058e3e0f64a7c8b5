"""`gateway token`: prints a token of the development issuer."""

import argparse
import re
import sys
import time
from pathlib import Path

from gateway import settings
from gateway.auth.dev_issuer import DevIssuer
from gateway.domain.errors import GatewayError

_TTL = re.compile(r"([0-9]{1,9})([smh]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.add_argument("--tenant", default="dev", help="the tenant of the caller (default: dev)")
    parser.add_argument(
        "--scope",
        default="model.read model.stream search",
        help='what the caller may do (default: "model.read model.stream search")',
    )
    parser.add_argument("--subject", default="developer", help="who the caller is (default: developer)")
    parser.add_argument(
        "--ttl", type=ttl_seconds, default=3600, help="how long it lasts: 90s, 15m, 1h; at most 24h (default: 1h)"
    )
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")
    parser.add_argument("--data-dir", default=None, help="where the issuer keeps its key (GATEWAY_DATA_DIR)")


def run(args: argparse.Namespace) -> int:
    """Prints the token, or says on standard error what is wrong and returns 2."""
    try:
        loaded = settings.load(args.config)
        issuer = issuer_of(loaded, Path(args.data_dir or loaded.data.dir))
        token = issuer.mint(args.tenant, args.scope, args.subject, args.ttl, time.time())
    except settings.ConfigurationError as error:
        sys.stderr.write("".join(f"gateway token: {fault}\n" for fault in error.faults))
        return 2
    except GatewayError as error:
        sys.stderr.write(f"gateway token: {error.message}\n")
        return 2
    sys.stdout.write(f"{token}\n")
    return 0


def issuer_of(loaded: settings.Settings, data_dir: Path) -> DevIssuer:
    """The issuer that a gateway of these settings trusts. Raises OperatorError."""
    own = loaded.issuer
    return DevIssuer(data_dir, issuer=own.url, audience=own.audience) if own.enabled else DevIssuer(data_dir)


def ttl_seconds(text: str) -> int:
    """Seconds from `90s`, `15m`, `1h` or a bare number of seconds."""
    found = _TTL.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 15m or 1h")
    return int(found[1]) * _UNIT_S[found[2]]

"""`gateway key`: creates, lists and revokes API keys, for callers that cannot fetch tokens."""

import argparse
import time

from gateway.auth.api_key import ApiKeyFile
from gateway.commands import place
from gateway.commands.place import Place

SCOPES = "model.read model.stream search"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="create|list|revoke")
    create = acts.add_parser("create", help="make a key and print it, once")
    create.add_argument("--tenant", required=True, help="the tenant the key is for")
    create.add_argument("--scope", default=SCOPES, help=f'what it may do (default: "{SCOPES}")')
    create.add_argument("--subject", default="", help="who uses it (default: the key's own prefix)")
    create.add_argument("--expires", type=place.duration_s, help="how long it lasts: 12h, 90d (default: no end)")
    listing = acts.add_parser("list", help="show every key's prefix, never the key")
    revoke = acts.add_parser("revoke", help="end a key for good, and whatever runs with it")
    revoke.add_argument("prefix", help="the prefix that `gateway key list` shows")
    for one in (create, listing, revoke):
        place.add_options(one)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; the key of `create` alone is on standard output."""
    acts = {"create": _create, "list": _list, "revoke": _revoke}
    return place.run("key", args, lambda here: acts[args.act](here, args))


def _create(here: Place, args: argparse.Namespace) -> str:
    key, _record = ApiKeyFile(here.data_dir).create(
        args.tenant, args.scope, time.time(), subject=args.subject, ttl_s=args.expires
    )
    return f"{key}\n"


def _list(here: Place, _args: argparse.Namespace) -> str:
    rows = [
        (
            record.prefix,
            record.tenant,
            record.subject,
            " ".join(record.scopes),
            place.moment(record.created_at),
            place.moment(record.expires_at),
            place.moment(record.revoked_at, "no"),
        )
        for record in ApiKeyFile(here.data_dir).records()
    ]
    return place.table(("prefix", "tenant", "subject", "scopes", "created", "expires", "revoked"), rows)


def _revoke(here: Place, args: argparse.Namespace) -> str:
    ApiKeyFile(here.data_dir).revoke(args.prefix, time.time())
    here.revoke(place.credential(args.prefix, None))
    return f"revoked {args.prefix}\n"

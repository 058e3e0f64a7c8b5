"""`gateway client`: the clients of the gateway's own token issuer, and the key that signs their tokens."""

import argparse
import time

from gateway.auth.clients import ClientFile
from gateway.auth.dev_issuer import KEY_DIRECTORY
from gateway.auth.revocation import FOREVER, Kind, Revocation
from gateway.auth.signing_keys import SigningKeys
from gateway.commands import place
from gateway.commands.place import Place

SCOPES = "model.read model.stream search"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="create|list|revoke|rotate-key")
    create = acts.add_parser("create", help="make a client and print its secret, once")
    create.add_argument("client_id", help="the name of the client, like billing-app")
    create.add_argument("--tenant", required=True, help="the tenant of its tokens")
    create.add_argument("--scope", default=SCOPES, help=f'the most it may ask for (default: "{SCOPES}")')
    listing = acts.add_parser("list", help="show every client, never its secret")
    revoke = acts.add_parser("revoke", help="end a client for good: its tokens, and whatever runs with them")
    revoke.add_argument("client_id", help="the name of the client")
    rotate = acts.add_parser("rotate-key", help="sign new tokens with a new key; tokens of older keys stay good")
    rotate.add_argument(
        "--discard-old", action="store_true", help="drop the older keys, and with them their tokens"
    )
    for one in (create, listing, revoke, rotate):
        place.add_options(one)


def run(args: argparse.Namespace) -> int:
    """Does what was asked; the secret of `create` alone is on standard output."""
    acts = {"create": _create, "list": _list, "revoke": _revoke, "rotate-key": _rotate}
    return place.run("client", args, lambda here: acts[args.act](here, args))


def _create(here: Place, args: argparse.Namespace) -> str:
    secret, _record = ClientFile(here.data_dir).create(args.client_id, args.tenant, args.scope, time.time())
    return f"{secret}\n"


def _list(here: Place, _args: argparse.Namespace) -> str:
    rows = [
        (
            record.client_id,
            record.tenant,
            " ".join(record.scopes),
            place.moment(record.created_at),
            place.moment(record.revoked_at, "no"),
        )
        for record in ClientFile(here.data_dir).records()
    ]
    return place.table(("client", "tenant", "scopes", "created", "revoked"), rows)


def _revoke(here: Place, args: argparse.Namespace) -> str:
    clients = ClientFile(here.data_dir)
    clients.revoke(args.client_id, time.time())
    tenant = next(record.tenant for record in clients.records() if record.client_id == args.client_id)
    here.revoke(Revocation(Kind.CLIENT, args.client_id, tenant, int(time.time()), FOREVER))
    return f"revoked {args.client_id}\n"


def _rotate(here: Place, args: argparse.Namespace) -> str:
    keys = SigningKeys(here.data_dir / KEY_DIRECTORY)
    keys.rotate(discard_old=args.discard_old)
    return f"signing with {keys.current.key_id} now\n"

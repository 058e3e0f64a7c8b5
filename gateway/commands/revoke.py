"""`gateway revoke`: withdraws credentials, in every gateway within seconds, and ends what runs with them."""

import argparse
import time

from gateway.auth.api_key import ApiKeyFile
from gateway.auth.api_key_record import KEY_PREFIX
from gateway.auth.claims import LEEWAY_S, MAX_LIFETIME_S
from gateway.auth.revocation import FOREVER, Kind, Revocation
from gateway.auth.revocations import RevocationFile
from gateway.commands import place
from gateway.commands.place import Place
from gateway.domain.errors import invalid

KINDS = {
    "jti": Kind.CREDENTIAL,
    "key": Kind.CREDENTIAL,
    "subject": Kind.SUBJECT,
    "client": Kind.CLIENT,
    "tenant": Kind.TENANT,
    "kid": Kind.SIGNING_KEY,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--jti", help="one token, by its jti; forgotten when no token lives that long")
    what.add_argument("--key", help="one API key, by its prefix; for good")
    what.add_argument("--subject", help="every credential of a subject")
    what.add_argument("--client", help="every credential of a client_id")
    what.add_argument("--tenant", help="every credential of a tenant")
    what.add_argument("--kid", help="every token that was signed with this key")
    what.add_argument("--list", action="store_true", help="show what is revoked")
    parser.add_argument("--of-tenant", default="", help="only where the caller is of this tenant")
    parser.add_argument("--for", dest="for_s", type=place.duration_s, help="only for so long: 15m, 12h, 30d")
    parser.add_argument("--lift", action="store_true", help="take the revocation back")
    place.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Does what was asked."""
    return place.run("revoke", args, lambda here: _list(here) if args.list else _change(here, args))


def _change(here: Place, args: argparse.Namespace) -> str:
    revocation = _revocation(args, int(time.time()))
    if args.lift:
        here.lift(revocation)
        return f"lifted {revocation.kind} {revocation.value}\n"
    if args.key is not None:
        ApiKeyFile(here.data_dir).revoke(args.key, time.time())
    here.revoke(revocation)
    return f"revoked {revocation.kind} {revocation.value}\n"


def _revocation(args: argparse.Namespace, now: int) -> Revocation:
    option = next(name for name in KINDS if getattr(args, name) is not None)
    value = getattr(args, option)
    if not value:
        raise invalid(option, "is empty; say whose credentials to withdraw")
    if args.key is not None and (args.lift or args.for_s is not None or not value.startswith(KEY_PREFIX)):
        raise invalid(
            "key", "a key is revoked by its prefix gw_…, and for good; make a new one with `gateway key`"
        )
    for_s = args.for_s
    if for_s is None and args.jti is not None:
        for_s = MAX_LIFETIME_S + LEEWAY_S
    return Revocation(KINDS[option], value, args.of_tenant, now, FOREVER if for_s is None else now + for_s)


def _list(here: Place) -> str:
    rows = [
        (
            one.kind.value,
            one.value,
            one.tenant or "any",
            place.moment(one.revoked_at),
            place.moment(one.until),
        )
        for one in RevocationFile(here.data_dir).records()
    ]
    return place.table(("kind", "value", "of tenant", "revoked", "ends"), rows)

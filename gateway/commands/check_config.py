"""`gateway check-config`: everything that is wrong with the configuration, or what would be served with it."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence

from gateway import settings
from gateway.auth.api_key import ApiKeyFile
from gateway.commands import configuration
from gateway.commands.online_checks import Finding, try_everything
from gateway.domain.errors import OperatorError
from gateway.metering import text_counter
from gateway.settings import ConfigurationError, Settings

GOOD, UNREACHABLE, WRONG = 0, 1, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    parser.description = (
        "Lists every fault of the configuration (exit code 2), or says what would be served with it. With "
        "--online it also tries the ports, the keys and the servers that it names (exit code 1 where one does "
        "not answer); each search provider is asked once, which may cost a call."
    )
    parser.add_argument("--config", default=None, help="the TOML file (GATEWAY_CONFIG)")
    parser.add_argument("--online", action="store_true", help="try ports, keys and servers as well")


def run(args: argparse.Namespace) -> int:
    """0 when it is good, 1 when --online found something that does not answer, 2 with every fault otherwise."""
    try:
        loaded = settings.load(args.config)
        faults = [*configuration.faults(loaded), *_place_faults(loaded)]
    except ConfigurationError as error:
        faults = list(error.faults)
    if faults:
        sys.stderr.write("".join(f"gateway check-config: {fault}\n" for fault in faults))
        return WRONG
    for line in (*served(loaded), *(f"warning: {text}" for text in _warnings(loaded))):
        sys.stdout.write(f"{line}\n")
    findings = asyncio.run(try_everything(loaded)) if args.online else ()
    return _tell(findings)


def _tell(findings: Sequence[Finding]) -> int:
    for found in findings:
        sys.stdout.write(f"{'ok' if found.good else 'FAILED'}: {found.text}\n")
    if all(found.good for found in findings):
        sys.stdout.write("the configuration is good\n")
        return GOOD
    sys.stdout.flush()
    sys.stderr.write("gateway check-config: the configuration is well formed, but not everything in it answers\n")
    return UNREACHABLE


def served(loaded: Settings) -> Iterator[str]:
    """What a gateway with these settings would serve, to whom and with what; one line for each thing."""
    yield f"configuration: {loaded.path or 'defaults and environment, no file'}"
    tls = "TLS" if loaded.grpc.certificate else "plain text"
    yield f"gRPC: {loaded.grpc.address} ({tls})"
    yield f"HTTP bridge: {loaded.http.address or 'off'}"
    yield f"metrics: {loaded.metrics.address or 'off'}"
    yield f"callers: {'; '.join(_callers(loaded)) or 'nobody'}"
    yield f"models: {', '.join(card.name for card in configuration.cards(loaded))} (the first is the default)"
    yield f"search: {', '.join(loaded.search.providers) or 'none'}"
    yield f"tenants: {_tenants(loaded)}"
    shared = " and Redis" if loaded.redis.url else ""
    yield f"state: {loaded.data_dir.resolve()}{shared}"


def _callers(loaded: Settings) -> Iterator[str]:
    for issuer in loaded.issuers:
        yield f"tokens of {issuer.policy.issuer} for {' or '.join(issuer.policy.audiences)}"
    if loaded.issuer.enabled:
        yield f"tokens of this gateway's own issuer {loaded.issuer.url}"
    if loaded.certificates:
        yield f"{len(loaded.certificates)} client certificates"
    now = time.time()
    try:
        records = ApiKeyFile(loaded.data_dir).records()
    except OperatorError as error:
        yield f"API keys that cannot be read ({error.message})"
        return
    keys = sum(not record.revoked_at and now < record.expires_at for record in records)
    if keys:
        yield f"{keys} API key{'' if keys == 1 else 's'}"


def _tenants(loaded: Settings) -> str:
    tenants = loaded.tenants
    named = [f"{name} (suspended)" if tenant.suspended else name for name, tenant in tenants.named.items()]
    if not named:
        return "none" if tenants.known_only else "every one, with the defaults"
    return f"{', '.join(named)}; {'no others' if tenants.known_only else 'every other with the defaults'}"


def _warnings(loaded: Settings) -> list[str]:
    return [*configuration.warnings(loaded), *settings.odd_variables()]


def _place_faults(loaded: Settings) -> list[str]:
    """What cannot be used of this machine's files, and is otherwise found only by opening it."""
    found = []
    place = loaded.data_dir.resolve()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    if not existing.is_dir():
        found.append(f"data.dir: {existing} is a file; name a folder")
    elif not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        found.append(
            f"data.dir: {existing} cannot be written by this user; make it writable, or name another folder"
        )
    try:
        text_counter(loaded)
    except OperatorError as error:
        found.append(f"deepseek.tokenizer_file: {error.message}")
    return found

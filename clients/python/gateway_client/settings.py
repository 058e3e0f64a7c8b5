"""The client's settings from the environment; the only file of the client that reads it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway_client.errors import SettingsError

DEFAULT_TARGET = "127.0.0.1:50051"

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the gateway is and who we are. Secrets never show in `repr`.

    `colour` is what the terminal allows (https://no-color.org); only the commands ask for it.
    """

    target: str = DEFAULT_TARGET
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    token_url: str = ""
    scopes: str = ""
    insecure: bool = False
    ca_file: Path | None = None
    data_dir: Path = Path(".gateway")
    colour: bool = True

    @property
    def dev_token_file(self) -> Path:
        """Where `gateway serve --dev` leaves its token."""
        return self.data_dir / "dev-token"


def read_settings(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """The settings of the environment, `os.environ` unless given.

    Raises SettingsError with every fault.
    """
    env = os.environ if environ is None else environ
    faults: list[str] = []
    settings = ClientSettings(
        target=env.get("GATEWAY_GRPC_TARGET", "").strip() or DEFAULT_TARGET,
        token=env.get("GATEWAY_TOKEN", "").strip(),
        token_file=_path(env, "GATEWAY_TOKEN_FILE"),
        client_id=env.get("GATEWAY_CLIENT_ID", "").strip(),
        client_secret=_secret(env, "GATEWAY_CLIENT_SECRET", faults),
        token_url=env.get("GATEWAY_TOKEN_URL", "").strip(),
        scopes=env.get("GATEWAY_SCOPES", "").strip(),
        insecure=_flag(env, "GATEWAY_INSECURE", faults),
        ca_file=_path(env, "GATEWAY_GRPC_CA_FILE"),
        data_dir=_path(env, "GATEWAY_DATA_DIR") or Path(".gateway"),
        colour=not env.get("NO_COLOR") and env.get("TERM") != "dumb",
    )
    faults += _incomplete(settings)
    if faults:
        raise SettingsError("; ".join(faults))
    return settings


def _incomplete(settings: ClientSettings) -> list[str]:
    """A client id, its secret and the token URL make sense together only."""
    if settings.token or settings.token_file:
        return []
    parts = {
        "GATEWAY_CLIENT_ID": settings.client_id,
        "GATEWAY_CLIENT_SECRET": settings.client_secret,
        "GATEWAY_TOKEN_URL": settings.token_url,
    }
    missing = [name for name, value in parts.items() if not value]
    return [f"{' and '.join(missing)} must be set as well"] if 0 < len(missing) < len(parts) else []


def _path(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name, "").strip()
    return Path(value) if value else None


def _secret(env: Mapping[str, str], name: str, faults: list[str]) -> str:
    """The value of `name`, or the content of the file that `<name>_FILE` names."""
    path = _path(env, f"{name}_FILE")
    if env.get(name) or path is None:
        return env.get(name, "").strip()
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{name}_FILE cannot be read: {error}")
        return ""


def _flag(env: Mapping[str, str], name: str, faults: list[str]) -> bool:
    value = env.get(name, "").strip().lower()
    if value not in _TRUE + _FALSE:
        faults.append(f"{name} is {value!r}: use 1 or 0")
    return value in _TRUE

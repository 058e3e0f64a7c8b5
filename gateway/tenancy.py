"""Reads the tenants of the configuration file: defaults, and each tenant over them."""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from enum import Enum
from math import inf
from typing import TypeVar

from gateway import schema
from gateway.domain.tenant import DIMENSIONS, NO_LIMITS, LimitsMode, Tenant, TenantLimits, Tenants

E = TypeVar("E", bound=Enum)
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
POLICY_KEYS = {f.name for f in fields(Tenant)} - {"name"}


def read_tenants(document: Mapping[str, object], faults: list[str]) -> Tenants:
    """The tenants of the whole file; faults are appended, not raised."""
    defaults_table = _table(document.get("tenant_defaults", {}), "tenant_defaults", faults)
    known_only = defaults_table.pop("known_tenants_only", document.get("known_tenants_only", False))
    if not isinstance(known_only, bool):
        faults.append("known_tenants_only: must be true or false")
    defaults = _tenant(Tenant("default"), defaults_table, "tenant_defaults", faults)
    named = {}
    for name, value in _table(document.get("tenants", {}), "tenants", faults).items():
        if TENANT_NAME.fullmatch(name) is None:
            faults.append(f"tenants.{name}: a tenant is named [a-z0-9][a-z0-9-]*, at most 63 characters")
        table = _table(value, f"tenants.{name}", faults)
        named[name] = _tenant(replace(defaults, name=name), table, f"tenants.{name}", faults)
    mode = _mode(document.get("limits", {}), faults)
    return Tenants(
        defaults=defaults.limited(mode),
        named={name: tenant.limited(mode) for name, tenant in named.items()},
        known_only=known_only is True,
    )


def _mode(value: object, faults: list[str]) -> LimitsMode:
    """`[limits] mode`: read again with the tenants, within a second of a change of the file."""
    table = _table(value, "limits", faults)
    faults += schema.unknown_names("limits", table, {"mode": None})
    return _one_of(LimitsMode.ENFORCE, table.get("mode"), "limits.mode", faults)


def _table(value: object, section: str, faults: list[str]) -> dict[str, object]:
    if isinstance(value, dict):
        return dict(value)
    faults.append(f"[{section}] must be a table")
    return {}


def _tenant(base: Tenant, table: dict[str, object], section: str, faults: list[str]) -> Tenant:
    faults += schema.unknown_names(section, table, dict.fromkeys(POLICY_KEYS))
    limits = _limits(base.limits, table.pop("limits", {}), f"{section}.limits", faults)
    search_mode = _one_of(base.search_mode, table.pop("search_mode", None), f"{section}.search_mode", faults)
    place = _one_of(base.place, table.pop("place", None), f"{section}.place", faults)
    audit = _one_of(base.audit, table.pop("audit", None), f"{section}.audit", faults)
    labels = _table(table.pop("labels", dict(base.labels)), f"{section}.labels", faults)
    per_subject = _limits(base.per_subject, table.pop("per_subject", {}), f"{section}.per_subject", faults)
    per_key = _limits(base.per_key, table.pop("per_key", {}), f"{section}.per_key", faults)
    per_model = _per_model(base.per_model, table.pop("per_model", {}), f"{section}.per_model", faults)
    kept: dict[str, object] = {}
    for name, value in table.items():
        if name in POLICY_KEYS and _fits(getattr(base, name), value):
            kept[name] = tuple(value) if isinstance(value, list) else value
        elif name in POLICY_KEYS:
            faults.append(f"{section}.{name}: {value!r} is not {_kind(getattr(base, name))}")
    return replace(
        base,
        limits=limits,
        per_subject=per_subject,
        per_key=per_key,
        per_model=per_model,
        search_mode=search_mode,
        audit=audit,
        place=place,
        labels={key: str(value) for key, value in labels.items()},
        **kept,  # type: ignore[arg-type]  # each value was held against the kind of its default
    )


def _per_model(
    base: Mapping[str, TenantLimits], value: object, section: str, faults: list[str]
) -> Mapping[str, TenantLimits]:
    """The tenant's own patterns come first, so that they win over those of the defaults."""
    own = {
        pattern: _limits(base.get(pattern, NO_LIMITS), limits, f'{section}."{pattern}"', faults)
        for pattern, limits in _table(value, section, faults).items()
    }
    return {**own, **{pattern: limits for pattern, limits in base.items() if pattern not in own}}


def _fits(example: object, value: object) -> bool:
    if isinstance(example, tuple):
        return isinstance(value, list) and all(isinstance(word, str) for word in value)
    if type(example) is int:
        return type(value) is int and value >= 0
    return type(value) is type(example)


def _kind(example: object) -> str:
    match example:
        case tuple():
            return 'a list of texts, like ["*"]'
        case bool():
            return "true or false"
        case _:
            return "a whole number that is zero (no limit) or more"


def _one_of(base: E, value: object, where: str, faults: list[str]) -> E:
    """The member of the base's own enumeration that the value names; the base where there is none."""
    if value is None:
        return base
    members = {member.value: member for member in type(base)}
    if isinstance(value, str) and value in members:
        return members[value]
    faults.append(f"{where}: {value!r} is none of {', '.join(members)}")
    return base


def _limits(base: TenantLimits, value: object, section: str, faults: list[str]) -> TenantLimits:
    table = _table(value, section, faults)
    merged = {**asdict(base)}
    faults += schema.unknown_names(section, table, merged)
    merged["shadow"] = _shadow(base.shadow, table.pop("shadow", None), section, faults)
    for name, amount in table.items():
        if name not in merged:
            continue
        whole = isinstance(merged[name], int)
        if (
            isinstance(amount, bool)
            or not isinstance(amount, int if whole else int | float)
            or not 0 <= amount < inf
        ):
            kind = "a whole number" if whole else "a number"
            faults.append(f"{section}.{name}: {amount!r} is not {kind} that is zero (no limit) or more")
        else:
            merged[name] = amount if whole else float(amount)
    return TenantLimits(**merged)


def _shadow(base: tuple[str, ...], value: object, section: str, faults: list[str]) -> tuple[str, ...]:
    if value is None:
        return base
    if isinstance(value, list) and all(word in DIMENSIONS for word in value):
        return tuple(value)
    faults.append(f"{section}.shadow: {value!r} is not a list of {', '.join(DIMENSIONS)}")
    return base

"""What a tenant may do, as the operator configured it; replaced whole when the configuration changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from fnmatch import fnmatchcase

from gateway.domain.turn import Place, SearchMode


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """The ceilings of one tenant; 0 = no limit of that kind. Money is in USD here, as operators write it.

    Those that `shadow` names are only counted: what they would refuse goes on.
    """

    requests_per_minute: int = 600
    tokens_per_minute: int = 200_000
    concurrent_streams: int = 50
    usd_per_day: float = 10.0
    usd_per_month: float = 100.0
    shadow: tuple[str, ...] = ()


DIMENSIONS = tuple(field.name for field in fields(TenantLimits) if field.name != "shadow")
NO_LIMITS = TenantLimits(0, 0, 0, 0.0, 0.0)


class LimitsMode(Enum):
    """What becomes of every limit of every tenant; the values are the words of the file."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """They are only counted."""
    OFF = "off"
    """There are none."""

    def applied(self, limits: TenantLimits) -> TenantLimits:
        """The limits in this mode."""
        if self is LimitsMode.OFF or limits == NO_LIMITS:
            return NO_LIMITS
        return replace(limits, shadow=DIMENSIONS) if self is LimitsMode.SHADOW else limits


class AuditMode(Enum):
    """What becomes of a tenant's turns while the audit cannot be written; the values are the words of the file."""

    SPOOL = "spool"
    """They go on as long as the audit's spool takes their records."""
    STRICT = "strict"
    """They are refused at once."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant's policy. `models` and `search_providers` are shell patterns; none listed = none allowed.

    `search_by_model` lets a cheap model say whether, and with which words, a question is searched under AUTO.

    `limits` are the whole tenant's. Beside them each subject, each credential (an API key, or one token) and each
    model may have limits of its own; of `per_model`, the first pattern that fits a model holds for it alone.
    `place` and `regions` (shell patterns) say where its questions may go; machines of the operator's own are in
    every region.
    """

    name: str
    models: tuple[str, ...] = ("*",)
    search_providers: tuple[str, ...] = ("*",)
    limits: TenantLimits = field(default_factory=TenantLimits)
    suspended: bool = False
    search_mode: SearchMode = SearchMode.AUTO
    search_by_model: bool = False
    allow_degraded: bool = True
    answer_cache: bool = True
    join_in_flight: bool = True
    max_output_tokens: int = 0
    audit: AuditMode = AuditMode.SPOOL
    labels: Mapping[str, str] = field(default_factory=dict)
    per_subject: TenantLimits = NO_LIMITS
    per_key: TenantLimits = NO_LIMITS
    per_model: Mapping[str, TenantLimits] = field(default_factory=dict)
    place: Place = Place.ANY
    regions: tuple[str, ...] = ("*",)
    receipts_days: int = 0

    def limited(self, mode: LimitsMode) -> "Tenant":
        """The tenant with every limit in this mode."""
        return replace(
            self,
            limits=mode.applied(self.limits),
            per_subject=mode.applied(self.per_subject),
            per_key=mode.applied(self.per_key),
            per_model={pattern: mode.applied(limits) for pattern, limits in self.per_model.items()},
        )

    def model_limits(self, model: str) -> TenantLimits:
        """The limits of this model within the tenant."""
        fitting = (limits for pattern, limits in self.per_model.items() if fnmatchcase(model, pattern))
        return next(fitting, NO_LIMITS)

    def may_use_model(self, model: str) -> bool:
        """Whether the allow-list names this model."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)

    def may_search_with(self, provider: str) -> bool:
        """Whether the allow-list names this search provider."""
        return any(fnmatchcase(provider, pattern) for pattern in self.search_providers)


@dataclass(frozen=True, slots=True)
class Tenants:
    """Every tenant of the configuration; one that is not named gets the defaults, or none at all."""

    defaults: Tenant = Tenant("default")
    named: Mapping[str, Tenant] = field(default_factory=dict)
    known_only: bool = False

    def get(self, name: str) -> Tenant | None:
        """The policy of `name`, or None where only known tenants are served and it is not one."""
        found = self.named.get(name)
        if found is not None or self.known_only:
            return found
        return replace(self.defaults, name=name)

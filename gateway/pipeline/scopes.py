"""Whom a turn counts against beside its tenant: the subject, the credential and the model (pure)."""

from gateway.domain.call import Visitor
from gateway.domain.tenant import NO_LIMITS
from gateway.limits import Scope, ScopeKind


def scopes_of(visitor: Visitor, model: str = "") -> tuple[Scope, ...]:
    """Those that have limits of their own; a call that asks no model has no model to count against."""
    caller, tenant = visitor.caller, visitor.tenant
    every = (
        Scope(ScopeKind.SUBJECT, caller.subject, tenant.per_subject),
        Scope(ScopeKind.KEY, caller.credential_id, tenant.per_key),
        Scope(ScopeKind.MODEL, model, tenant.model_limits(model) if model else NO_LIMITS),
    )
    return tuple(scope for scope in every if scope.limits != NO_LIMITS)

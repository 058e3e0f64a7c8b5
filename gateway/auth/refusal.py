"""The two refusals a credential can meet. The text is the same for both, and for every cause. Pure."""

from gateway.domain.errors import CallerError, Reason

TEXT = "invalid_token"


def invalid_token() -> CallerError:
    """The credential is bad, in whatever way."""
    return CallerError(Reason.TOKEN_INVALID, TEXT)


def revoked() -> CallerError:
    """The credential was good and has been withdrawn."""
    return CallerError(Reason.REVOKED, TEXT)

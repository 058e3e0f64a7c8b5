"""`gateway.v1.Account`: what a caller's own tenant may still use, and its receipts."""

from gateway.domain.call import Visitor
from gateway.domain.errors import CallerError, Reason, invalid
from gateway.ledger import Ledger
from gateway.limits import Limiter
from gateway.pipeline.scopes import scopes_of
from gateway.server import frames
from gateway.server.door import Context
from gateway.v1 import account_pb2


class Account:
    """Shows a tenant its own limits and receipts, and no other's."""

    def __init__(self, limiter: Limiter, ledger: Ledger) -> None:
        self._limiter = limiter
        self._ledger = ledger

    async def get_limits(
        self, visitor: Visitor, _request: account_pb2.GetLimitsRequest, _context: Context
    ) -> account_pb2.Limits:
        """Every limit of the caller's tenant as it stands, and those of the caller within it."""
        tenant = visitor.tenant
        allowances = await self._limiter.allowances(tenant.name, tenant.limits, scopes_of(visitor))
        return account_pb2.Limits(allowances=[frames.allowance(item) for item in allowances])

    async def get_receipt(
        self, visitor: Visitor, request: account_pb2.GetReceiptRequest, _context: Context
    ) -> account_pb2.Receipt:
        """One receipt; another tenant's does not exist."""
        if not request.receipt_id:
            raise invalid("receipt_id", "is empty; take it from the end of a turn")
        receipt = await self._ledger.get(visitor.tenant.name, request.receipt_id)
        if receipt is None:
            raise CallerError(Reason.NOT_FOUND, "there is no such receipt")
        return frames.receipt(receipt)

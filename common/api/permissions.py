"""Who may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common.tokens import TokenUser

if TYPE_CHECKING:  # it imports the default permissions itself
    from rest_framework.views import APIView


class HasToken(BasePermission):
    """Only with a valid token: 401 otherwise."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request carries a valid token."""
        return request.user is not None


class HasStaffToken(HasToken):
    """Only with the valid token of a staff user: 401 without a token, 403 without staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request carries a valid token of a staff user."""
        return isinstance(request.user, TokenUser) and request.user.is_staff

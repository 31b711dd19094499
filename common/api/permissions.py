"""Permissions for DRF views."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from common.tokens import TokenUser


class HasToken(BasePermission):
    """Permission for users with a valid token. Requests without a token get a 401."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request has a valid token."""
        return request.user is not None


class HasStaffToken(HasToken):
    """Permission for staff users with a valid token.

    Requests without a token get a 401. Requests with the token of a user who is not staff get a 403.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request has a valid token of a staff user."""
        return isinstance(request.user, TokenUser) and request.user.is_staff

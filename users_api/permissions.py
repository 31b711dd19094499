"""Permissions of views that use `users_api.authentication.AccountAuthentication`."""

from rest_framework.request import Request
from rest_framework.views import APIView

from common.api.permissions import HasStaffToken
from users_api.models import User


class IsStaff(HasStaffToken):
    """Only for accounts that are staff now: 401 without a token, 403 without staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the account is staff."""
        return isinstance(request.user, User) and request.user.is_staff

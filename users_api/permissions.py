"""Permissions of views with `users_api.authentication.AccountAuthentication`."""

from rest_framework.request import Request
from rest_framework.views import APIView

from common.api.permissions import HasStaffToken
from users_api.models import User


class IsStaff(HasStaffToken):
    """Allow accounts that are staff now. Without a token it is 401, without staff 403."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the account is staff."""
        return isinstance(request.user, User) and request.user.is_staff

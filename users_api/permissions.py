"""Permissions for views that use `users_api.authentication.AccountAuthentication`."""

from rest_framework.request import Request
from rest_framework.views import APIView

from common.api.permissions import HasStaffToken
from users_api.models import User


class IsStaff(HasStaffToken):
    """Permission for accounts that are staff in the database.

    The class ignores the token's claim `is_staff`, which may be out of date. Requests without a token get a 401.
    Accounts that are not staff get a 403.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the account is staff."""
        return isinstance(request.user, User) and request.user.is_staff

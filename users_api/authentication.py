"""Token authentication that looks at the account, for the calls of users_api."""

from rest_framework.request import Request

from common.api import authentication
from common.api.exceptions import NotAuthenticated
from users_api import sessions
from users_api.models import Session, User
from users_api.tokens import session_key


class AccountAuthentication(authentication.TokenAuthentication):
    """Set `request.user` to the account of a token, `request.auth` to its session.

    The row decides what the account may do: its token may say what was true 15 minutes ago.
    """

    def authenticate(self, request: Request) -> tuple[User, Session | None] | None:  # type: ignore[override]
        """Return the account and the session, or None without a header.

        Raise `NotAuthenticated` (401) if either has ended. A token that was issued outside a session has none.
        """
        found = super().authenticate(request)
        if found is None:
            return None
        token = found[0]
        if key := session_key(token.jti):
            session = Session.objects.select_related("user").filter(key=key, user=token.user_id).first()
            if session and sessions.is_usable(session):
                return session.user, session
            raise NotAuthenticated("The session has ended. Log in again.")
        user = User.objects.filter(pk=token.user_id or 0, is_active=True).first()
        if user is None:
            raise NotAuthenticated("The account is switched off.")
        return user, None

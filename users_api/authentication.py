"""Token authentication that also checks the account and the session."""

from rest_framework.request import Request

from common.api import authentication
from common.api.exceptions import NotAuthenticated
from users_api import sessions
from users_api.models import Session, User
from users_api.tokens import session_key


class AccountAuthentication(authentication.TokenAuthentication):
    """DRF authentication class that checks a token, its account and its session.

    The class sets `request.user` to the token's account, and `request.auth` to the token's session. The class reads the
    account from the database, because the claims in the token may be up to 15 minutes old.
    """

    def authenticate(self, request: Request) -> tuple[User, Session | None] | None:  # type: ignore[override]
        """Return `(account, session)`, or None if the request has no Authorization header.

        The session is None if the token was issued without a session. Raise `NotAuthenticated` (401) if the token is
        invalid, the account is switched off, or the session is no longer valid.
        """
        found = super().authenticate(request)
        if found is None:
            return None
        token = found[0]
        if key := session_key(token.jti):
            session = Session.objects.select_related("user").filter(key=key, user=token.user_id).first()
            if session and sessions.is_usable(session):
                return session.user, session
            raise NotAuthenticated("The session is no longer valid. Log in again.")
        user = User.objects.filter(pk=token.user_id or 0, is_active=True).first()
        if user is None:
            raise NotAuthenticated("The account is switched off.")
        return user, None

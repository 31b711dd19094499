"""Validate the input of the API, and serialize its output."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers
from rest_framework_simplejwt.serializers import TokenObtainSerializer

from common.api.exceptions import NotAuthenticated
from common.api.serializers import TextField
from users_api import sessions
from users_api.models import USERNAME_MAX_LENGTH, Session, User
from users_api.passwords import PASSWORD_MAX_LENGTH
from users_api.tokens import AccessToken, RefreshToken

REFRESH_MAX_LENGTH = 2000  # characters; issued tokens are much shorter


# Shortened tokens for the examples in the OpenAPI document.
AUTHORIZED, REFRESH = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6…", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…"


@extend_schema_serializer(
    examples=[OpenApiExample("bruce", {"username": "bruce", "password": "bruce"}, request_only=True)]
)
class LoginSerializer(TokenObtainSerializer):
    # These fields have no maximum length. `users_api.backends` treats a value that is too long like a wrong password:
    # the response is a 401, and takes the same time.
    username = TextField(trim_whitespace=False)
    password = TextField(trim_whitespace=False, style={"input_type": "password"})

    default_error_messages = {"no_active_account": "The user name or the password is wrong."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # djangorestframework-simplejwt has replaced the fields above with its own, which accept numbers and trim
        # spaces. Restore the fields above.
        for name, field in self.get_fields().items():
            self.fields[name] = field

    def validate(self, attrs: dict[str, Any]) -> dict[Any, Any]:
        """Return the tokens of a new session.

        Raise `NotAuthenticated` (401) if the name or password is wrong, and `TooManyFailures` (429) after too many
        failures.
        """
        super().validate(attrs)
        tokens = sessions.log_in(self.context["request"], self.user, attrs["password"])
        if tokens is None:
            raise NotAuthenticated(self.error_messages["no_active_account"])
        return _answer(*tokens)


@extend_schema_serializer(examples=[OpenApiExample("bruce", {"Authorized": AUTHORIZED, "refresh": REFRESH})])
class TokensSerializer(serializers.Serializer[Any]):
    Authorized = serializers.CharField(help_text="The value of an Authorization header: Bearer <access token>.")
    refresh = serializers.CharField(help_text="The refresh token.")


@extend_schema_serializer(examples=[OpenApiExample("bruce", {"refresh": REFRESH})])
class RefreshSerializer(serializers.Serializer[Any]):
    refresh = TextField(max_length=REFRESH_MAX_LENGTH)


class TokenRefreshSerializer(RefreshSerializer):
    """Serializer that renews tokens.

    djangorestframework-simplejwt's own serializer copies the claims of the old token. This one reads them from the
    database.
    """

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """Return an access token and the next refresh token.

        Raise `NotAuthenticated` (401) if the session is no longer valid.
        """
        return _answer(*sessions.refresh(self.context["request"], attrs["refresh"]))


def _answer(access: AccessToken, refresh: RefreshToken) -> dict[str, str]:
    return {"Authorized": f"Bearer {access}", "refresh": str(refresh)}


class SessionSerializer(serializers.ModelSerializer[Session]):
    ends = serializers.DateTimeField(source="expires", help_text="When the session expires if it is not used again.")
    network = serializers.CharField(help_text="The network from which the session was last used.")
    device = serializers.CharField(help_text="The kind of device on which the session was last used.")
    current = serializers.SerializerMethodField(help_text="Whether the token of this request belongs to the session.")

    class Meta:
        model = Session
        fields = ["id", "began", "used", "ends", "network", "device", "current"]

    def get_current(self, session: Session) -> bool:
        """Return whether the token of this request belongs to the session."""
        return bool(session == self.context["current"])


@extend_schema_serializer(
    examples=[OpenApiExample("grace", {"username": "grace", "password": "nanosecond-wire"}, request_only=True)]
)
class UserSerializer(serializers.ModelSerializer[User]):
    username = TextField(max_length=USERNAME_MAX_LENGTH, trim_whitespace=False)
    password = TextField(
        write_only=True,
        min_length=8,
        max_length=PASSWORD_MAX_LENGTH,
        trim_whitespace=False,
        style={"input_type": "password"},
    )

    class Meta:
        model = User
        fields = ["id", "username", "password", "creation"]
        read_only_fields = ["creation"]

    def validate_username(self, username: str) -> str:
        """Validate the characters of the name.

        The field itself has no validator for this, because the OpenAPI document would then contain the validator's
        pattern. In OpenAPI, `\\w` matches fewer letters than in Python.
        """
        UnicodeUsernameValidator(message="Use only letters, digits and the characters @.+-_")(username)
        return username

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Validate the password. One of the rules is that it must not resemble the name."""
        try:
            validate_password(data["password"], User(username=data["username"]))
        except DjangoValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return data

    def create(self, data: dict[str, Any]) -> User:
        """Store the account. Raise `ValidationError` for `username` if the name is taken."""
        try:
            return User.objects.create_user(**data)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.message_dict) from None


class PasswordSerializer(serializers.Serializer[Any]):
    old_password = TextField(max_length=PASSWORD_MAX_LENGTH, trim_whitespace=False, style={"input_type": "password"})
    new_password = TextField(
        min_length=8, max_length=PASSWORD_MAX_LENGTH, trim_whitespace=False, style={"input_type": "password"}
    )

    def validate_new_password(self, password: str) -> str:
        """Validate the password. One of the rules is that it must not resemble the name."""
        validate_password(password, self.context["user"])
        return password


class JWKSerializer(serializers.Serializer[Any]):
    kty = serializers.CharField()
    use = serializers.CharField()
    alg = serializers.CharField()
    kid = serializers.CharField()
    n = serializers.CharField()
    e = serializers.CharField()


class JWKSSerializer(serializers.Serializer[Any]):
    keys = JWKSerializer(many=True)

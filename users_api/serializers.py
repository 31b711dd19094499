"""What goes in and comes out of users_api."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from common.api.serializers import TextField
from users_api.models import USERNAME_MAX_LENGTH, User
from users_api.passwords import PASSWORD_MAX_LENGTH

REFRESH_MAX_LENGTH = 2000  # characters; ours have far fewer


class LoginSerializer(serializers.Serializer[Any]):
    # What is too long is a wrong pair (401), in the time of a wrong pair: users_api.backends.
    username = TextField(trim_whitespace=False)
    password = TextField(trim_whitespace=False, style={"input_type": "password"})


class TokensSerializer(serializers.Serializer[Any]):
    Authorized = serializers.CharField(help_text="The value of an Authorization header: Bearer <access token>.")
    refresh = serializers.CharField(help_text="The refresh token.")


class AuthorizedSerializer(serializers.Serializer[Any]):
    Authorized = serializers.CharField(help_text="The value of an Authorization header: Bearer <access token>.")


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = TextField(max_length=REFRESH_MAX_LENGTH)


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
        """Apply the rule for names, whose pattern means more letters to Python than to readers of the schema."""
        UnicodeUsernameValidator()(username)
        return username

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Apply the password rules, which know the name."""
        try:
            validate_password(data["password"], User(username=data["username"]))
        except DjangoValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return data

    def create(self, data: dict[str, Any]) -> User:
        """Store the account; a name that is taken is an error of `username`."""
        try:
            return User.objects.create_user(**data)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.message_dict) from None


class JWKSerializer(serializers.Serializer[Any]):
    kty = serializers.CharField()
    use = serializers.CharField()
    alg = serializers.CharField()
    kid = serializers.CharField()
    n = serializers.CharField()
    e = serializers.CharField()


class JWKSSerializer(serializers.Serializer[Any]):
    keys = JWKSerializer(many=True)

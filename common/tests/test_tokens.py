"""Test that a view accepts valid tokens, and refuses invalid ones with 401."""

import base64
import hashlib
import hmac
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from pytest_django import Settings

from common import tokens
from common.tests import signing
from common.tokens.keys import key_set


def get_me(api: Client, authorization: str) -> Any:
    return api.get("/me/", headers={"Authorization": authorization})


def assert_refused(response: Any) -> None:
    assert response.status_code == 401, response.content
    assert response["WWW-Authenticate"] == "Bearer"
    assert list(response.json()) == ["message"]
    assert response.json()["message"]


def hs256(secret: bytes) -> str:
    """Return a token signed with HS256 and this secret (see RFC 8725 section 2.1)."""
    header = signing.base64url(signing.as_json({"alg": "HS256", "typ": "JWT", "kid": "ours"}))
    message = header + b"." + signing.base64url(signing.as_json(signing.claims()))
    return (message + b"." + signing.base64url(hmac.digest(secret, message, hashlib.sha256))).decode()


@pytest.mark.parametrize("token_type", [None, "", "refresh", "Access", "access ", ["access"], True, 1])
def test_token_of_another_type_is_refused(api: Client, token_type: Any) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(token_type=token_type)}"))


def test_valid_token_is_accepted(api: Client) -> None:
    response = get_me(api, f"Bearer {signing.token()}")
    assert response.status_code == 200
    assert response.json() == {"username": "bruce", "user_id": 1, "is_staff": False}


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_scheme_is_case_insensitive(api: Client, scheme: str) -> None:
    assert get_me(api, f"{scheme} {signing.token()}").status_code == 200


@pytest.mark.parametrize("scheme", ["Basic", "Token", "JWT", "Bearerx", "xBearer", ""])
def test_valid_token_with_another_scheme_is_refused(api: Client, scheme: str) -> None:
    assert_refused(get_me(api, f"{scheme} {signing.token()}"))


def test_several_spaces_before_the_token_are_accepted(api: Client) -> None:
    # RFC 9110 section 11.4: `credentials = auth-scheme [ 1*SP ( token68 / … ) ]`.
    assert get_me(api, f"Bearer   {signing.token()}").status_code == 200


def test_non_ascii_username_is_kept(api: Client) -> None:
    assert get_me(api, f"Bearer {signing.token(username='Ärger')}").json()["username"] == "Ärger"


def test_is_staff_must_be_true(api: Client) -> None:
    assert get_me(api, f"Bearer {signing.token(is_staff=True)}").json()["is_staff"] is True
    for value in ("true", 1, [False]):
        assert get_me(api, f"Bearer {signing.token(is_staff=value)}").json()["is_staff"] is False


def test_request_without_a_token_is_401_if_the_view_requires_one(api: Client) -> None:
    assert_refused(api.get("/me/"))


def test_view_for_staff_is_401_without_a_token_and_403_for_other_users(api: Client) -> None:
    assert_refused(api.get("/staff/"))

    response = api.get("/staff/", headers={"Authorization": f"Bearer {signing.token()}"})
    assert response.status_code == 403
    assert list(response.json()) == ["message"]
    assert "WWW-Authenticate" not in response

    response = api.get("/staff/", headers={"Authorization": f"Bearer {signing.token(is_staff=True)}"})
    assert response.status_code == 200


def test_open_view_needs_no_token_but_refuses_an_invalid_one(api: Client) -> None:
    assert api.get("/open/").json()["username"] is None
    assert_refused(api.get("/open/", headers={"Authorization": "Bearer rubbish"}))


def test_token_with_the_algorithm_none_is_refused(api: Client) -> None:
    for name in ("none", "None", "NONE", "nOnE"):
        header = signing.base64url(signing.as_json({"alg": name, "kid": "ours"})).decode()
        payload = signing.base64url(signing.as_json(signing.claims())).decode()
        assert_refused(get_me(api, f"Bearer {header}.{payload}."))
        # Also try the signature of a valid token.
        assert_refused(get_me(api, f"Bearer {header}.{payload}.{signing.token().rsplit('.', 1)[1]}"))


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("shape", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_hs256_with_the_public_key_as_its_secret_is_refused(
    api: Client, encoding: Encoding, shape: PublicFormat
) -> None:
    secret = signing.private_key("ours").public_key().public_bytes(encoding, shape)
    assert_refused(get_me(api, f"Bearer {hs256(secret)}"))
    assert_refused(get_me(api, f"Bearer {hs256(secret.strip())}"))


def test_hs256_with_the_jwk_as_its_secret_is_refused(api: Client) -> None:
    modulus = base64.urlsafe_b64decode(signing.jwk()["n"] + "==")
    for secret in (signing.as_json(signing.jwk()), signing.jwk()["n"].encode(), modulus, b""):
        assert_refused(get_me(api, f"Bearer {hs256(secret)}"))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "ES256", "rs256", "", None, 256, ["RS256"], {}])
def test_valid_signature_with_another_algorithm_is_refused(api: Client, algorithm: Any) -> None:
    header = signing.as_json({"alg": algorithm, "kid": "ours"})
    assert_refused(get_me(api, f"Bearer {signing.signed(header, signing.as_json(signing.claims()))}"))


def test_token_signed_with_another_key_but_our_key_id_is_refused(api: Client) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(key='theirs', headers={'kid': 'ours'})}"))


def test_token_with_an_unknown_key_id_is_refused(api: Client) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(key='theirs')}"))
    assert_refused(get_me(api, f"Bearer {signing.token(headers={'kid': 'unknown'})}"))


@pytest.mark.parametrize("kid", [[], ["ours"], {}, {"ours": 1}, 1, 1.5, True, None, ""])
def test_token_whose_key_id_is_not_a_string_is_refused(api: Client, kid: Any) -> None:
    header = signing.as_json({"alg": "RS256", "kid": kid})
    assert_refused(get_me(api, f"Bearer {signing.signed(header, signing.as_json(signing.claims()))}"))


def test_a_token_without_a_key_id_is_refused(api: Client) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(headers={})}"))


def test_key_in_the_token_is_never_used(api: Client) -> None:
    for kid in ("ours", "theirs"):
        headers = {"kid": kid, "jwk": {**signing.jwk("theirs"), "kid": kid}}
        assert_refused(get_me(api, f"Bearer {signing.token(key='theirs', headers=headers)}"))


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_url_in_the_token_is_never_requested(api: Client, name: str) -> None:
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        headers = {"kid": "theirs", name: f"http://127.0.0.1:{server.server_port}/jwks.json"}
        assert_refused(get_me(api, f"Bearer {signing.token(key='theirs', headers=headers)}"))
        # A valid token with such a URL is accepted, and the URL is ignored.
        assert get_me(api, f"Bearer {signing.token(headers=headers | {'kid': 'ours'})}").status_code == 200
        server.shutdown()
        thread.join()
    assert requests == []


def test_certificate_in_the_token_is_never_used(api: Client) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(key='theirs', headers={'kid': 'theirs', 'x5c': ['MIIB']})}"))


def test_token_with_a_critical_header_is_refused(api: Client) -> None:
    # RFC 7515 section 4.1.11: recipients must refuse critical headers that they do not support.
    for critical in (["exp"], ["b64"], [], None):
        header = signing.as_json({"alg": "RS256", "kid": "ours", "crit": critical, "exp": 1})
        assert_refused(get_me(api, f"Bearer {signing.signed(header, signing.as_json(signing.claims()))}"))


def test_token_with_an_unencoded_payload_is_refused(api: Client) -> None:
    # RFC 7797 defines unencoded payloads (`b64`).
    header = signing.as_json({"alg": "RS256", "kid": "ours", "b64": False})
    assert_refused(get_me(api, f"Bearer {signing.signed(header, signing.as_json(signing.claims()))}"))


def test_token_with_a_changed_claim_is_refused(api: Client) -> None:
    header, _, signature = signing.token().split(".")
    payload = signing.base64url(signing.as_json(signing.claims(is_staff=True))).decode()
    assert_refused(get_me(api, f"Bearer {header}.{payload}.{signature}"))


def test_token_with_a_changed_signature_is_refused(api: Client) -> None:
    header, payload, signature = signing.token().split(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    for wrong in (changed, signature[:-4], signature[::-1], ""):
        assert_refused(get_me(api, f"Bearer {header}.{payload}.{wrong}"))


def test_expired_token_is_refused(api: Client) -> None:
    now = int(time.time())
    assert_refused(get_me(api, f"Bearer {signing.token(exp=now - 1)}"))
    assert_refused(get_me(api, f"Bearer {signing.token(exp=now)}"))
    assert get_me(api, f"Bearer {signing.token(exp=now + 60)}").status_code == 200


def test_cached_token_is_refused_after_its_expiry(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    token = signing.token()
    assert get_me(api, f"Bearer {token}").status_code == 200
    end = tokens.verify(token, key_set()).expires
    monkeypatch.setattr(time, "time", lambda: end - 0.1)
    assert get_me(api, f"Bearer {token}").status_code == 200
    monkeypatch.setattr(time, "time", lambda: float(end))
    assert_refused(get_me(api, f"Bearer {token}"))


def test_cached_token_is_refused_after_its_key_or_issuer_changes(api: Client, settings: Settings) -> None:
    token = signing.token()
    assert get_me(api, f"Bearer {token}").status_code == 200
    settings.TOKENS_ISSUER = "someone-else"
    assert_refused(get_me(api, f"Bearer {token}"))
    settings.TOKENS_ISSUER = "users-api"
    settings.TOKENS_JWKS = lambda: {"keys": [{**signing.jwk("theirs"), "kid": "ours"}]}
    assert_refused(get_me(api, f"Bearer {token}"))


def test_only_valid_signatures_are_cached(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    decode = jwt.decode

    def count(*args: Any, **options: Any) -> Any:
        calls.append("decode")
        return decode(*args, **options)

    monkeypatch.setattr(jwt, "decode", count)
    good, bad = signing.token(user_id=4711), signing.token(key="theirs", headers={"kid": "ours"})
    for _ in range(3):
        assert get_me(api, f"Bearer {good}").json()["user_id"] == 4711
    assert calls == ["decode"]
    for _ in range(3):
        assert_refused(get_me(api, f"Bearer {bad}"))
    assert calls == ["decode"] * 4


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_from_the_future_is_refused(api: Client, claim: str) -> None:
    now = int(time.time())
    assert_refused(get_me(api, f"Bearer {signing.token(signing.claims() | {claim: now + 60})}"))
    # The clock of users_api may be slightly ahead.
    assert get_me(api, f"Bearer {signing.token(signing.claims() | {claim: now + 5})}").status_code == 200


@pytest.mark.parametrize("claim", ["exp", "username", "iss"])
def test_token_without_a_required_claim_is_refused(api: Client, claim: str) -> None:
    payload = signing.claims()
    del payload[claim]
    assert_refused(get_me(api, f"Bearer {signing.token(payload)}"))
    assert_refused(get_me(api, f"Bearer {signing.token(payload | {claim: None})}"))


@pytest.mark.parametrize("username", ["", 7, True, ["bruce"], {"name": "bruce"}, 1.5])
def test_token_with_an_invalid_username_is_refused(api: Client, username: Any) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(username=username)}"))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["soon", "9999999999", [9999999999], {}, float("inf"), float("nan")])
def test_token_with_a_time_that_is_not_a_number_is_refused(api: Client, claim: str, value: Any) -> None:
    assert_refused(get_me(api, f"Bearer {signing.token(signing.claims() | {claim: value})}"))


def test_token_from_another_issuer_is_refused(api: Client) -> None:
    for issuer in ("someone-else", "", ["users-api"], {"users-api": 1}, 1):
        assert_refused(get_me(api, f"Bearer {signing.token(iss=issuer)}"))
    # The message helps operators notice that TOKENS_ISSUER is not the same in all projects.
    answer = get_me(api, f"Bearer {signing.token(iss='someone-else')}")
    assert answer.json()["message"] == "The token is from another issuer."


def test_a_token_for_an_audience_is_refused(api: Client) -> None:
    # Our tokens have no audience, so this one is for another service (RFC 7519 section 4.1.3).
    for audience in ("elsewhere", ["elsewhere"], "users-api"):
        assert_refused(get_me(api, f"Bearer {signing.token(aud=audience)}"))


def test_a_refresh_token_is_refused(api: Client) -> None:
    # An earlier release of users_api issued random refresh tokens like this one, which is not a JWT.
    assert_refused(get_me(api, "Bearer 3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4"))


def test_token_whose_payload_is_not_an_object_is_refused(api: Client) -> None:
    header = signing.as_json({"alg": "RS256", "kid": "ours"})
    for payload in (b"[]", b"1", b'"bruce"', b"null", b"", b"{", b"\xff", b"\x00"):
        assert_refused(get_me(api, f"Bearer {signing.signed(header, payload)}"))


def test_token_whose_header_is_not_an_object_is_refused(api: Client) -> None:
    for header in (b"[]", b"1", b'"RS256"', b"null", b"", b"{", b"\xff", b"\x00", b"9" * 5000):
        assert_refused(get_me(api, f"Bearer {signing.signed(header, signing.as_json(signing.claims()))}"))


@pytest.mark.parametrize("nesting", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deeply_nested_token_never_causes_a_server_error(api: Client, nesting: bytes, depth: int) -> None:
    header = signing.as_json({"alg": "RS256", "kid": "ours"})
    payload = signing.as_json(signing.claims())
    close = b"]" if nesting == b"[" else b"1}"
    for deep in (nesting * depth, nesting * depth + close * depth):
        # Add the nested value to an otherwise valid object.
        member = b', "a": ' + deep + b"}"
        for parts in (
            (deep, payload),
            (header, deep),
            (header[:-1] + member, payload),
            (header, payload[:-1] + member),
        ):
            response = get_me(api, f"Bearer {signing.signed(*parts)}")
            if response.status_code != 200:
                assert_refused(response)


@pytest.mark.parametrize("words", ["Bearer Bearer", "Bearer  bearer", "bearer BEARER"])
def test_error_says_that_the_word_bearer_appears_twice(api: Client, words: str) -> None:
    # Swagger UI adds the word "Bearer" to what a user pastes into "Authorize".
    response = get_me(api, f"{words} {signing.token()}")
    assert_refused(response)
    assert response.json() == {"message": "The Authorization header has the word Bearer twice. Remove one of them."}


def test_two_authorization_headers_are_refused(api: Client) -> None:
    # Servers join repeated headers with a comma (RFC 9110 section 5.2).
    good = f"Bearer {signing.token()}"
    for lines in (f"{good},{good}", f"{good}, {good}", f"{good},Basic YTpi", f"Basic YTpi,{good}"):
        assert_refused(get_me(api, lines))


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer .",
        "Bearer ..",
        "Bearer ...",
        "Bearer a.b.c",
        "Bearer a.b.c.d.e",
        "Bearer null",
        "Bearer undefined",
        "Bearer eyJhbGciOiJSUzI1NiJ9",
        "Basic YnJ1Y2U6YnJ1Y2U=",
        "Token 0123",
        'Digest username="bruce"',
        "Bearer\x00",
        "Bearer \x00.\x00.\x00",
        "Bearer " + "." * 10_000,
        "Bearer " + "A" * 100_000,
        "Bearer Bearer",
        # WSGI decodes non-ASCII bytes as Latin-1 (PEP 3333).
        "Bearer \xc3\xa4.\xc3\xb6.\xc3\xbc",
        "Bearer \xff\xfe",
        "\xc3\x84rger",
        "Bearer ä.ö.ü",
        "Bearer 😀",
    ],
)
def test_malformed_authorization_header_is_refused(api: Client, value: str) -> None:
    # Set the header in the WSGI environ, because the test client would refuse some of these values.
    assert_refused(api.get("/me/", HTTP_AUTHORIZATION=value))


def test_token_with_extra_characters_is_refused(api: Client) -> None:
    good = signing.token()
    for token in (
        f"{good} x",
        f'"{good}"',
        f"{good}\n",
        f"{good}=",
        f"{good}\t",
        f"{good}ä",
        f"\xa0{good}",
        f"{good},",
    ):
        assert_refused(api.get("/me/", HTTP_AUTHORIZATION=f"Bearer {token}"))


def test_error_does_not_reveal_the_token(api: Client) -> None:
    token = signing.token(key="theirs", username="secret-name")
    response = get_me(api, f"Bearer {token}")
    assert token not in response.text
    assert "secret-name" not in response.text


def test_verification_loads_the_keys_only_once(api: Client, loads: list[str]) -> None:
    for _ in range(20):
        assert get_me(api, f"Bearer {signing.token()}").status_code == 200
        assert_refused(get_me(api, "Bearer rubbish"))
        assert_refused(get_me(api, f"Bearer {signing.token(exp=1)}"))
        assert_refused(get_me(api, f"Bearer {signing.token(headers={})}"))
    assert loads == ["load"]


def test_malformed_token_loads_no_keys(api: Client, loads: list[str]) -> None:
    assert_refused(get_me(api, "Bearer rubbish"))
    assert_refused(get_me(api, f"Bearer {hs256(b'secret')}"))
    assert loads == []


def test_user_has_the_expiry_of_the_token() -> None:
    end = int(time.time()) + 900
    user = tokens.verify(signing.token(exp=end, user_id=7), key_set())
    assert user == tokens.TokenUser(username="bruce", user_id=7, is_staff=False, expires=end)
    assert user.is_authenticated

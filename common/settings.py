"""Settings from the environment, and the settings that are the same in several projects.

Each project's `settings.py` reads its variables from one `Env`, then calls `seal()`.
"""

import ipaddress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import dj_database_url
import environs

from common._compat import FileEnv

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
# A database server whose machine has gone is known as gone after 5 s with a question, and after a minute without.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TCP-USER-TIMEOUT
GONE = {"tcp_user_timeout": 5000, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class Env(FileEnv):
    """The process's environment, read by type: `env.str`, `env.bool`, `env.int`, `env.path`, …

    `env.database` gives one of DATABASES; `env.replica` too, for a read replica, and {} for an empty variable;
    `env.names` and `env.hosts` a list, without spaces and empty parts.
    Any variable may be in a file instead, as secrets often are: `SECRET_KEY_FILE` names the one with SECRET_KEY.
    """

    def __init__(self) -> None:
        super().__init__(eager=False, strip_whitespace=True)
        self.add_parser("database", _database)
        self.add_parser("replica", _replica)
        self.add_parser("networks", _networks)
        self.add_parser("http_url", _http_url)
        self.add_parser("origins", _origins)
        self.add_parser("names", _names)
        self.add_parser("hosts", _hosts)
        self.add_parser("filled", _filled)
        self.add_parser("count", _count)

    def seal(self) -> None:
        """End the process with one line that names each variable that is missing or wrong, if any is."""
        try:
            super().seal()
        except environs.EnvValidationError as error:
            errors = cast(dict[str, list[str]], error.error_messages)
            wrong = "; ".join(f"{name}: {', '.join(messages)}" for name, messages in errors.items())
            raise SystemExit(f"The environment is not right. {wrong}") from None


def _database(value: str) -> dict[str, Any]:
    try:
        database: dict[str, Any] = dict(dj_database_url.parse(value))
    except (ValueError, KeyError) as error:
        raise environs.EnvError(f"not a database URL: {error}") from None
    options = database.setdefault("OPTIONS", {})
    # In memory, each connection would have a database of its own.
    if ":memory:" in database["NAME"] or not (database["NAME"] or "service" in options):
        raise environs.EnvError("the URL names no database: sqlite:///<file> or postgresql://<host>/<name>")
    if options.pop("pool", False):
        raise environs.EnvError("a pool is not supported: each thread keeps a connection of its own")
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # https://docs.djangoproject.com/en/5.2/ref/databases/#database-is-locked-errors
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # FULL: what was acknowledged survives a power cut. https://www.sqlite.org/pragma.html#pragma_synchronous
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        }
    elif database["ENGINE"] == "django.db.backends.postgresql":
        # A connection for each thread: a pool of as many would be asked for one, and looked at, in each request.
        options |= {"connect_timeout": 2, **GONE}
        database |= {"ENGINE": "common.database.postgresql", "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    else:
        raise environs.EnvError("the database must be sqlite:///<file> or postgresql://…")
    return database


def _replica(value: str) -> dict[str, Any]:
    if not value:
        return {}
    database = _database(value)
    if database["ENGINE"] != "common.database.postgresql":
        raise environs.EnvError("a replica must be postgresql://…")
    # What is slow or away is asked of the primary instead.
    return database | {
        "STATEMENT_TIMEOUT": 1,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
        "TEST": {"MIRROR": "default"},
    }


def _networks(value: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(part) for part in _names(value)]
    except ValueError as error:
        raise environs.EnvError(f"not a list of networks such as 10.0.0.0/8: {error}") from None


def _http_url(value: str) -> str:
    try:
        if value.startswith(("http://", "https://")) and urlsplit(value).hostname:
            return value.rstrip("/")
    except ValueError:  # half an IPv6 address
        pass
    raise environs.EnvError(f"not an http:// or https:// address: {value!r}")


def _names(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _hosts(value: str) -> list[str]:
    if not (hosts := _names(value)):
        raise environs.EnvError("empty: no request would be answered")
    return hosts


def _origins(value: str) -> list[str]:
    return [_http_url(part) for part in _names(value)]


def _filled(value: str) -> str:
    if not value.strip():
        raise environs.EnvError("empty")
    return value


def _count(value: str | int) -> int:
    if not str(value).isdecimal() or not int(value):
        raise environs.EnvError(f"not a number from 1: {value!r}")
    return int(value)


# Whether anybody may create an account: read by users_api, which decides, and by web.
SIGN_UP = environs.validate.OneOf(["closed", "open"])

# The names with which a service is reached without a cluster; *.localhost needs no hosts file.
LOCAL_HOSTS = "localhost, 127.0.0.1, [::1], .localhost"

# The largest body that any call needs has a few kB. Django's default lets eight clients fill a pod's memory.
# https://docs.djangoproject.com/en/5.2/ref/settings/#data-upload-max-memory-size
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 250  # the admin's list sends the ids of up to 200 selected accounts
DATA_UPLOAD_MAX_NUMBER_FILES = 1  # no call takes a file; one in place of a text is an error of its field

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["common.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": [
        "common.api.parsers.JSONParser",
        "common.api.parsers.FormParser",
        "common.api.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "common.api.negotiation.OnlyJSON",
    "DEFAULT_SCHEMA_CLASS": "common.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "common.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    # No other: /schema/ would take over into the document what the first who asks for it has in `?version=`.
    "ALLOWED_VERSIONS": [""],
}

SPECTACULAR_SETTINGS = {
    "VERSION": "1.0.0",
    "TAGS": [{"name": "For everyone"}, {"name": "With a token"}, {"name": "For staff"}],
    "DEFAULT_GENERATOR_CLASS": "common.api.schema.SchemaGenerator",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_AUTHENTICATION": [],
}


def content_security_policy(**sources: str) -> str:
    """Return a Content-Security-Policy: this site's own scripts, styles, images and forms, and these further sources.

    https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html
    """
    own = {"default_src": "'none'", "base_uri": "'none'", "frame_ancestors": "'none'"}
    own |= dict.fromkeys(["script_src", "style_src", "img_src", "form_action"], "'self'")
    return "; ".join(f"{name.replace('_', '-')} {value}" for name, value in (own | sources).items())


# Swagger UI has inline styles and images, and calls the API; the admin needs no more than web.
API_CONTENT_SECURITY_POLICY = content_security_policy(
    style_src="'self' 'unsafe-inline'", img_src="'self' data:", connect_src="'self'"
)


def cookie_prefix(env: Env, project: str) -> str:
    """Return the start of the names of a project's cookies.

    A browser sends a cookie to every port of a host. So the name has the port of PORT, which is unset in a container.
    """
    port = env.str("PORT", "")
    return f"{project}_{port}_" if port else f"{project}_"


def logging(level: int) -> dict[str, Any]:
    """Django's LOGGING: one line an entry on stderr, with the request's id; `level` is one of its own."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "common.http.request_id.LogFilter"},
            "client_faults": {"()": "common.operations.log_filters.ClientFaultFilter"},
        },
        "formatters": {
            "line": {"format": "%(levelname)s %(name)s [%(request_id)s] %(message)s"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["request_id", "client_faults"],
                "formatter": "line",
            },
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {"django": {"handlers": [], "propagate": True}},
    }


def template_loaders(cached: bool) -> list[Any]:
    """Django's template loaders for the apps' folders: each template is read once, or whenever it is used."""
    if cached:
        return [("django.template.loaders.cached.Loader", ["django.template.loaders.app_directories.Loader"])]
    return ["common.server.templates.LastGoodLoader"]


def storages(hashed: bool) -> dict[str, Any]:
    """Django's STORAGES: static files with hashed, compressed names that `collectstatic` made, or as they are."""
    hashed_storage = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    plain_storage = "django.contrib.staticfiles.storage.StaticFilesStorage"
    return {"staticfiles": {"BACKEND": hashed_storage if hashed else plain_storage}}

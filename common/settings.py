"""Read settings from the environment, and define settings that all projects share.

The `settings.py` of each project reads its variables from one `Env`. Then it calls `seal()`, which reports missing and
invalid variables.
"""

import ipaddress
import os
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

import dj_database_url
import environs

from common._compat import FileEnv

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
# With these options, libpq detects an unreachable server within 5 s during a query, and within a minute on an idle
# connection.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TCP-USER-TIMEOUT
DEAD_PEER = {"tcp_user_timeout": 5000, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class Env(FileEnv):
    """Typed environment variables: `env.str`, `env.bool`, `env.int`, `env.path`, …

    `env.database` returns an entry for DATABASES. `env.replica` does the same, but returns {} if the variable is empty.
    `env.names` and `env.hosts` return the items of a comma-separated list. `env.hosts` requires at least one item.

    The value of any variable may be in a file. For example, `SECRET_KEY_FILE` is the path of a file with SECRET_KEY.
    """

    def __init__(self) -> None:
        super().__init__(eager=False, strip_whitespace=True)
        self.add_parser("database", _database)
        self.add_parser("replica", _replica)
        self.add_parser("networks", _networks)
        self.add_parser("http_url", _http_url)
        self.add_parser("link", _link)
        self.add_parser("origins", _origins)
        self.add_parser("names", _names)
        self.add_parser("hosts", _hosts)
        self.add_parser("filled", _filled)
        self.add_parser("count", _count)

    def seal(self) -> None:
        """Raise SystemExit if any variable is missing or invalid.

        The message is one line that names all of these variables.
        """
        try:
            super().seal()
        except environs.EnvValidationError as error:
            errors = cast(dict[str, list[str]], error.error_messages)
            wrong = "; ".join(f"{name}: {', '.join(messages)}" for name, messages in errors.items())
            raise SystemExit(f"Invalid environment. {wrong}") from None


def sqlite(file: Path) -> str:
    """Return the DATABASE_URL of an SQLite file.

    The path is quoted, because characters such as `#` and `%` have a special meaning in URLs (RFC 3986).
    """
    return f"sqlite:///{quote(os.fsencode(file))}"


def _database(value: str) -> dict[str, Any]:
    try:
        database: dict[str, Any] = dict(dj_database_url.parse(value))
    except (ValueError, KeyError) as error:
        raise environs.EnvError(f"not a database URL: {error}") from None
    options = database.setdefault("OPTIONS", {})
    # With :memory:, every connection would have a separate database.
    if ":memory:" in database["NAME"] or not (database["NAME"] or "service" in options):
        raise environs.EnvError("the URL must name a database: sqlite:///<file> or postgresql://<host>/<name>")
    if options.pop("pool", False):
        raise environs.EnvError("a connection pool is not supported, because each thread keeps its own connection")
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # https://docs.djangoproject.com/en/5.2/ref/databases/#database-is-locked-errors
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # With FULL, committed data survives a power cut. https://www.sqlite.org/pragma.html#pragma_synchronous
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        }
    elif database["ENGINE"] == "django.db.backends.postgresql":
        # Each thread keeps one connection. A pool would check out a connection, and test it, for every request.
        options |= {"connect_timeout": 2, **DEAD_PEER}
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
    # The time limit is short, because the primary can execute the query if the replica is slow or unreachable.
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


def _link(value: str) -> str:
    return _http_url(value) if value else ""


def _http_url(value: str) -> str:
    try:
        if value.startswith(("http://", "https://")) and urlsplit(value).hostname:
            return value.rstrip("/")
    except ValueError:  # for example, an IPv6 address with only one bracket
        pass
    raise environs.EnvError(f"not an http:// or https:// address: {value!r}")


def _names(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _hosts(value: str) -> list[str]:
    if not (hosts := _names(value)):
        raise environs.EnvError("must not be empty, because every request would be refused")
    return hosts


def _origins(value: str) -> list[str]:
    return [_http_url(part) for part in _names(value)]


def _filled(value: str) -> str:
    if not value.strip():
        raise environs.EnvError("must not be empty")
    return value


def _count(value: str | int) -> int:
    if not str(value).isdecimal() or not int(value):
        raise environs.EnvError(f"not a positive integer: {value!r}")
    return int(value)


# The allowed values of the variable SIGN_UP. With "open", visitors may create accounts. users_api checks SIGN_UP for
# each new account, and web shows the sign-up form only if SIGN_UP is "open".
SIGN_UP = environs.validate.OneOf(["closed", "open"])

# The host names of a service that runs outside a cluster. Browsers resolve *.localhost without a hosts file.
LOCAL_HOSTS = "localhost, 127.0.0.1, [::1], .localhost"

# No request needs more than a few kB. With Django's default of 2.5 MB, eight clients could fill the memory of a pod.
# https://docs.djangoproject.com/en/5.2/ref/settings/#data-upload-max-memory-size
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 250  # the admin sends the ids of up to 200 selected accounts
DATA_UPLOAD_MAX_NUMBER_FILES = 1  # no endpoint accepts files; with 0, a file would not be reported as a field error

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
    # Otherwise, drf-spectacular would write the `?version=` of the first request into the cached OpenAPI document.
    "ALLOWED_VERSIONS": [""],
}

SPECTACULAR_SETTINGS = {
    "VERSION": "1.0.0",
    "TAGS": [{"name": "For everyone"}, {"name": "With a token"}, {"name": "For staff"}],
    "DEFAULT_GENERATOR_CLASS": "common.api.schema.SchemaGenerator",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",  # drf-spectacular's default hook, which this list must repeat
        "common.api.schema.drop_redundant_limits",
        "common.api.schema.use_64_bits",
        "common.api.schema.drop_unused_tags",
    ],
    # `persistAuthorization` stores the access token in the browser's localStorage. The risk is small, because the token
    # expires after 15 minutes.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": True},
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_AUTHENTICATION": [],
}


def api_description(text: str, **links: str) -> str:
    """Return the description of an API for its OpenAPI document, in Markdown.

    Each keyword argument is a link. The name is the link's text, with `_` for spaces, and the value is its URL. Links
    with an empty URL are left out.
    """
    shown = [f"[{name.replace('_', ' ')}]({url})" for name, url in links.items() if url]
    return "\n\n".join([text, *([" · ".join(shown)] if shown else [])])


def content_security_policy(**sources: str) -> str:
    """Return a Content-Security-Policy that allows only this site and `sources`.

    Each keyword argument sets one directive, such as `style_src="'self' 'unsafe-inline'"`.
    https://cheatsheetseries.owasp.org/cheatsheets/Content_Security_Policy_Cheat_Sheet.html
    """
    own = {"default_src": "'none'", "base_uri": "'none'", "frame_ancestors": "'none'"}
    own |= dict.fromkeys(["script_src", "style_src", "img_src", "form_action"], "'self'")
    return "; ".join(f"{name.replace('_', '-')} {value}" for name, value in (own | sources).items())


# Swagger UI needs inline styles, images in `data:` URLs, and requests to the API.
API_CONTENT_SECURITY_POLICY = content_security_policy(
    style_src="'self' 'unsafe-inline'", img_src="'self' data:", connect_src="'self'"
)


def cookie_prefix(env: Env, project: str) -> str:
    """Return the prefix for the names of a project's cookies.

    Browsers send a cookie to every port of a host. So the prefix contains PORT, which keeps the cookies of two
    installations on one host apart. In containers, PORT is not set.
    """
    port = env.str("PORT", "")
    return f"{project}_{port}_" if port else f"{project}_"


def service_name(urlconf: str) -> str:
    """Return the name of this service in Kubernetes, such as "users-api".

    `urlconf` is the setting ROOT_URLCONF.
    """
    return urlconf.partition(".")[0].replace("_", "-")


# The default value of FAULTS_PATH. tempfile.gettempdir() would fail in a Job, which has no writable folder.
FAULTS_PATH = Path("/tmp/fault")  # noqa: S108


def fault_middleware(faults: bool, behind_tls: bool) -> list[str]:
    """Return the middleware that simulates faults, or [] if FAULTS is false.

    Raise SystemExit if the variables FAULTS and BEHIND_TLS are both true, because users of a real site must not cause
    faults.
    """
    if faults and behind_tls:
        raise SystemExit("Invalid environment. FAULTS: not allowed with BEHIND_TLS")
    return ["common.http.faults.FaultMiddleware"] if faults else []


# The allowed values of the variable LOG_FORMAT. common/server/logger.py reads the same variable for gunicorn.
LOG_FORMAT = environs.validate.OneOf(["text", "json"])


def logging(level: int, log_format: str = "text", sentry: bool = False) -> dict[str, Any]:
    """Return the value of Django's setting LOGGING.

    Each record is written to stderr in the format "text" or "json", with the request id. With `sentry`, exceptions are
    also sent to Sentry.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "common.http.request_id.LogFilter"},
            "client_faults": {"()": "common.operations.log_filters.ClientFaultFilter"},
        },
        "formatters": {
            "line": {"()": "common.logs.formatter", "name": log_format},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["request_id", "client_faults"],
                "formatter": "line",
            },
            "sentry": {
                "class": "common.sentry.SentryHandler",
                "filters": ["request_id", "client_faults"],
                "level": "ERROR",
            },
        },
        "root": {"handlers": ["stderr", "sentry"] if sentry else ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            # OpenTelemetry would log an invalid header `tracestate`, which may contain anything.
            "opentelemetry.trace.span": {"level": "ERROR"},
        },
    }


def template_loaders(cached: bool) -> list[Any]:
    """Return the template loaders.

    If `cached`, they cache each template. Otherwise, they read a template whenever it is used.
    """
    if cached:
        return [("django.template.loaders.cached.Loader", ["django.template.loaders.app_directories.Loader"])]
    return ["common.server.templates.LastGoodLoader"]


def storages(hashed: bool) -> dict[str, Any]:
    """Return the value of Django's setting STORAGES.

    With `hashed`, static files are also stored compressed, and their names contain a hash of their content.
    """
    hashed_storage = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    plain_storage = "django.contrib.staticfiles.storage.StaticFilesStorage"
    return {"staticfiles": {"BACKEND": hashed_storage if hashed else plain_storage}}

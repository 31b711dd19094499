"""Django settings of web.

In this package, only this module reads environment variables.
"""

from logging import INFO

from common import settings as common

env = common.Env()
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.filled("SECRET_KEY")
SECRET_KEY_FALLBACKS: list[str] = env.names("SECRET_KEY_FALLBACKS", "")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", common.LOCAL_HOSTS)
THOUGHTS_BACKEND_URL = env.http_url("THOUGHTS_BACKEND_URL")
USER_BACKEND_URL = env.http_url("USER_BACKEND_URL")
THOUGHTS_PUBLIC_URL = env.link("THOUGHTS_PUBLIC_URL", "")
USERS_PUBLIC_URL = env.link("USERS_PUBLIC_URL", "")
ADMIN_PUBLIC_URL = env.link("ADMIN_PUBLIC_URL", "")
TOKENS_JWKS = env.filled("TOKENS_JWKS", f"{USER_BACKEND_URL}/.well-known/jwks.json")
TOKENS_ISSUER = env.filled("TOKENS_ISSUER", "users-api")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", "")
BEHIND_TLS = env.bool("BEHIND_TLS", False)
CSRF_TRUSTED_ORIGINS: list[str] = env.origins("CSRF_TRUSTED_ORIGINS", "")
STATIC_ROOT = env.path("STATIC_ROOT", common.VAR / "static" / "web")
RELOAD = env.bool("RELOAD", False)
STATIC_HASHED = env.bool("STATIC_HASHED", not (DEBUG or RELOAD))
THREADS = env.count("THREADS", 8)  # common/server/gunicorn_conf.py has the same default
LOG_LEVEL = env.log_level("LOG_LEVEL", INFO)
LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=common.LOG_FORMAT)
MANAGEMENT_PORT = env.int("MANAGEMENT_PORT", 0)
SENTRY_DSN = env.str("SENTRY_DSN", "")
SENTRY_ENVIRONMENT = env.filled("SENTRY_ENVIRONMENT", "production")
FAULTS = env.bool("FAULTS", False)
FAULTS_PATH = env.path("FAULTS_PATH", common.FAULTS_PATH)
SIGN_UP = env.str("SIGN_UP", "closed", validate=common.SIGN_UP)
SIGN_UP_CONTACT = env.filled("SIGN_UP_CONTACT", "the administrator of this site")
COOKIE_PREFIX = ("__Host-" if BEHIND_TLS else "") + common.cookie_prefix(env, "thoughts")
VERSION = env.str("VERSION", "dev")
COMMIT = env.str("COMMIT", "unknown")
env.seal()

# Timeouts of calls to the APIs, in seconds: for opening a connection, for each read, and for a whole call with its
# retries. A page makes at most three calls: it renews the token, writes, and lists. Together, the calls take less
# than gunicorn's timeout of 30 seconds.
BACKEND_CONNECT_TIMEOUT = 1.0
BACKEND_READ_TIMEOUT = 5.0
BACKEND_TOTAL_TIMEOUT = 8.0

DATABASES: dict[str, object] = {}

INSTALLED_APPS = ["web", "common", "django.contrib.messages", "django.contrib.staticfiles"]

MIDDLEWARE = [
    "common.http.middleware.RequestIDMiddleware",
    "common.operations.health.HealthMiddleware",
    "common.http.middleware.TracingMiddleware",
    "common.operations.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.http.middleware.ContentSecurityPolicyMiddleware",
    "common.http.middleware.WhiteNoiseMiddleware",
    "web.middleware.GZipMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "common.http.middleware.RequestLimitsMiddleware",
    "django.middleware.common.CommonMiddleware",
    *common.fault_middleware(FAULTS, BEHIND_TLS),
    "web.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "web.middleware.ErrorPageMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": common.template_loaders(cached=not RELOAD),
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "web.context_processors.links",
            ],
        },
    },
]

ROOT_URLCONF = "web.urls"
WSGI_APPLICATION = "web.wsgi.application"
APPEND_SLASH = False
SERVER_ERROR = "web.server_errors.page"

DATA_UPLOAD_MAX_MEMORY_SIZE = common.DATA_UPLOAD_MAX_MEMORY_SIZE
DATA_UPLOAD_MAX_NUMBER_FIELDS = common.DATA_UPLOAD_MAX_NUMBER_FIELDS
DATA_UPLOAD_MAX_NUMBER_FILES = common.DATA_UPLOAD_MAX_NUMBER_FILES

STATIC_URL = "static/"
WHITENOISE_ROOT = common.ROOT / "web" / "root"  # files outside /static/: browsers request /favicon.ico
STORAGES = common.storages(STATIC_HASHED)
# In development, WhiteNoise serves static files from the source tree:
# https://whitenoise.readthedocs.io/en/stable/django.html
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = RELOAD
WHITENOISE_MAX_AGE = 0 if DEBUG or RELOAD else 60  # seconds; with 0, browsers never show an outdated file
LOGGING = common.logging(LOG_LEVEL, LOG_FORMAT, sentry=bool(SENTRY_DSN))
# urllib3 would log the URL of each retry, which contains the user's search.
LOGGING["loggers"]["urllib3"] = {"level": "ERROR"}
MESSAGE_STORAGE = "web.messages.PrefixedCookieStorage"

LANGUAGE_CODE = "en-us"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

# These settings apply to the message cookie and the CSRF cookie. web.accounts sets the login cookies.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
CSRF_FAILURE_VIEW = "web.views.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
X_FRAME_OPTIONS = "DENY"
# The script requests pages of this site, to load more thoughts and to delete one.
CONTENT_SECURITY_POLICY = common.content_security_policy(connect_src="'self'")
# W008: Django does not redirect to https, because the ingress does.
SILENCED_SYSTEM_CHECKS = ["security.W008"]

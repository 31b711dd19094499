"""Django settings of users_api.

In this package, only this module reads environment variables.
"""

from datetime import timedelta
from logging import INFO

from common import settings as common
from users_api import keys

env = common.Env()
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.filled("SECRET_KEY")
SECRET_KEY_FALLBACKS: list[str] = env.names("SECRET_KEY_FALLBACKS", "")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", common.LOCAL_HOSTS)
DATABASES = {"default": env.database("DATABASE_URL", common.sqlite(common.VAR / "users.sqlite3"))}
TOKENS_KEYS = env.path("TOKENS_KEYS")
WEB_PUBLIC_URL = env.link("WEB_PUBLIC_URL", "")
TOKENS_ISSUER = env.filled("TOKENS_ISSUER", "users-api")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", "")
BEHIND_TLS = env.bool("BEHIND_TLS", False)
CSRF_TRUSTED_ORIGINS: list[str] = env.origins("CSRF_TRUSTED_ORIGINS", "")
STATIC_ROOT = env.path("STATIC_ROOT", common.VAR / "static" / "users_api")
RELOAD = env.bool("RELOAD", False)
STATIC_HASHED = env.bool("STATIC_HASHED", not (DEBUG or RELOAD))
LOG_LEVEL = env.log_level("LOG_LEVEL", INFO)
LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=common.LOG_FORMAT)
MANAGEMENT_PORT = env.int("MANAGEMENT_PORT", 0)
SENTRY_DSN = env.str("SENTRY_DSN", "")
SENTRY_ENVIRONMENT = env.filled("SENTRY_ENVIRONMENT", "production")
FAULTS = env.bool("FAULTS", False)
FAULTS_PATH = env.path("FAULTS_PATH", common.FAULTS_PATH)
LOGIN_FAILURES_PER_NAME = env.count("LOGIN_FAILURES_PER_NAME", 10)
LOGIN_FAILURES_PER_ADDRESS = env.count("LOGIN_FAILURES_PER_ADDRESS", 100)
LOGIN_FAILURES_PER_ACCOUNT = env.count("LOGIN_FAILURES_PER_ACCOUNT", 100)
SESSION_DAYS = env.count("SESSION_DAYS", 14)
SESSION_IDLE_DAYS = env.count("SESSION_IDLE_DAYS", 3)
SIGN_UP = env.str("SIGN_UP", "closed", validate=common.SIGN_UP)
SIGN_UPS_PER_ADDRESS = env.count("SIGN_UPS_PER_ADDRESS", 20)
COOKIE_PREFIX = common.cookie_prefix(env, "users")
VERSION = env.str("VERSION", "dev")
COMMIT = env.str("COMMIT", "unknown")
env.seal()

LOGIN_FAILURES_WINDOW = timedelta(minutes=15)
LOGIN_FAILURES_ACCOUNT_WINDOW = timedelta(hours=1)  # OWASP ASVS 4.0.3 section 2.2.1 allows 100 failures an hour
KNOWN_NETWORK_AGE = timedelta(days=30)
ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(days=SESSION_DAYS)
SESSION_IDLE = timedelta(days=SESSION_IDLE_DAYS)  # a session expires if it is not refreshed for this long
TOKENS_JWKS = keys.jwks

INSTALLED_APPS = [
    "users_api",
    "common",
    "users_api.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "common.http.middleware.RequestIDMiddleware",
    "common.operations.health.HealthMiddleware",
    "common.http.middleware.TracingMiddleware",
    "common.operations.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.http.middleware.ContentSecurityPolicyMiddleware",
    "common.http.middleware.WhiteNoiseMiddleware",
    "common.http.middleware.ConditionalGetMiddleware",
    "common.http.middleware.RequestLimitsMiddleware",
    "django.middleware.common.CommonMiddleware",
    *common.fault_middleware(FAULTS, BEHIND_TLS),
    "users_api.middleware.LoopbackCookiesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "users_api.middleware.NotAllowedMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "users_api.urls"
WSGI_APPLICATION = "users_api.wsgi.application"

AUTH_USER_MODEL = "users_api.User"
AUTHENTICATION_BACKENDS = ["users_api.backends.LimitedBackend"]
LOGIN_REDIRECT_URL = "admin:index"  # for a login without `next`, or with a `next` on another site
PASSWORD_HASHERS = ["users_api.hashers.Argon2idPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "users_api.passwords.LengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

DATA_UPLOAD_MAX_MEMORY_SIZE = common.DATA_UPLOAD_MAX_MEMORY_SIZE
DATA_UPLOAD_MAX_NUMBER_FIELDS = common.DATA_UPLOAD_MAX_NUMBER_FIELDS
DATA_UPLOAD_MAX_NUMBER_FILES = common.DATA_UPLOAD_MAX_NUMBER_FILES

REST_FRAMEWORK = common.REST_FRAMEWORK
SPECTACULAR_SETTINGS = common.SPECTACULAR_SETTINGS | {
    "TITLE": "Users API",
    "DESCRIPTION": common.api_description(
        "Accounts, login, and the keys that verify tokens.", Open_the_app=WEB_PUBLIC_URL, Admin="/admin/"
    ),
}

STATIC_URL = "static/"
STORAGES = common.storages(STATIC_HASHED)
# In development, serve the source files: https://whitenoise.readthedocs.io/en/stable/django.html
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = RELOAD
WHITENOISE_MAX_AGE = 0 if DEBUG or RELOAD else 60  # seconds; with 0, browsers never show an outdated file
LOGGING = common.logging(LOG_LEVEL, LOG_FORMAT, sentry=bool(SENTRY_DSN))

LANGUAGE_CODE = "en-us"
# With translations, /schema/ would load a translation for each `?lang=` and keep it in memory.
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}session"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
CSRF_FAILURE_VIEW = "users_api.errors.csrf_failure"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = common.API_CONTENT_SECURITY_POLICY
# This check recommends SECURE_SSL_REDIRECT. The ingress redirects instead, because pods in the cluster use plain HTTP.
SILENCED_SYSTEM_CHECKS = ["security.W008"]

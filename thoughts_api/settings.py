"""Django settings of thoughts_api.

In this package, only this module reads environment variables.
"""

from logging import INFO

from django.core.management.utils import get_random_secret_key

from common import settings as common

env = common.Env()
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", common.LOCAL_HOSTS)
DATABASES = {"default": env.database("DATABASE_URL", common.sqlite(common.VAR / "thoughts.sqlite3"))}
if replica := env.replica("DATABASE_REPLICA_URL", ""):
    DATABASES["replica"] = replica | {"MAX_LAG": env.count("REPLICA_MAX_LAG", 5)}
TOKENS_JWKS = env.filled("TOKENS_JWKS")
WEB_PUBLIC_URL = env.link("WEB_PUBLIC_URL", "")
USERS_PUBLIC_URL = env.link("USERS_PUBLIC_URL", "")
TOKENS_ISSUER = env.filled("TOKENS_ISSUER", "users-api")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", "")
BEHIND_TLS = env.bool("BEHIND_TLS", False)
STATIC_ROOT = env.path("STATIC_ROOT", common.VAR / "static" / "thoughts_api")
RELOAD = env.bool("RELOAD", False)
STATIC_HASHED = env.bool("STATIC_HASHED", not (DEBUG or RELOAD))
THREADS = env.count("THREADS", 8)  # common/server/gunicorn_conf.py has the same default
WRITES_PER_MINUTE = env.count("WRITES_PER_MINUTE", 60)
WRITES_PER_DAY = env.count("WRITES_PER_DAY", 2000)
LOG_LEVEL = env.log_level("LOG_LEVEL", INFO)
LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=common.LOG_FORMAT)
MANAGEMENT_PORT = env.int("MANAGEMENT_PORT", 0)
SENTRY_DSN = env.str("SENTRY_DSN", "")
SENTRY_ENVIRONMENT = env.filled("SENTRY_ENVIRONMENT", "production")
FAULTS = env.bool("FAULTS", False)
FAULTS_PATH = env.path("FAULTS_PATH", common.FAULTS_PATH)
VERSION = env.str("VERSION", "dev")
COMMIT = env.str("COMMIT", "unknown")
env.seal()

# Django requires a secret key. This API has no sessions and no forms, so it signs nothing with the key.
SECRET_KEY = get_random_secret_key()

INSTALLED_APPS = [
    "thoughts_api",
    "common",
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
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

ROOT_URLCONF = "thoughts_api.urls"
WSGI_APPLICATION = "thoughts_api.wsgi.application"

DATA_UPLOAD_MAX_MEMORY_SIZE = common.DATA_UPLOAD_MAX_MEMORY_SIZE
DATA_UPLOAD_MAX_NUMBER_FIELDS = common.DATA_UPLOAD_MAX_NUMBER_FIELDS
DATA_UPLOAD_MAX_NUMBER_FILES = common.DATA_UPLOAD_MAX_NUMBER_FILES

REST_FRAMEWORK = common.REST_FRAMEWORK
SPECTACULAR_SETTINGS = common.SPECTACULAR_SETTINGS | {
    "TITLE": "Thoughts API",
    "DESCRIPTION": common.api_description(
        "Stores, lists and searches thoughts.",
        Open_the_app=WEB_PUBLIC_URL,
        Get_a_token_from_the_Users_API=USERS_PUBLIC_URL,
    ),
}

STATIC_URL = "static/"
STORAGES = common.storages(STATIC_HASHED)
# In development, WhiteNoise serves static files from the source tree:
# https://whitenoise.readthedocs.io/en/stable/django.html
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = RELOAD
WHITENOISE_MAX_AGE = 0 if DEBUG or RELOAD else 60  # seconds; with 0, browsers never show an outdated file
LOGGING = common.logging(LOG_LEVEL, LOG_FORMAT, sentry=bool(SENTRY_DSN))

LANGUAGE_CODE = "en-us"
# With I18N, /schema/?lang=… would load one translation per language and keep it in memory.
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = common.API_CONTENT_SECURITY_POLICY
# W003: the CSRF middleware is missing. CSRF needs cookies, and this API uses none.
# W008: Django does not redirect to https. The ingress does so, and web calls this API over HTTP inside the cluster.
SILENCED_SYSTEM_CHECKS = ["security.W003", "security.W008"]

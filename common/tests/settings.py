"""Settings of a minimal Django project that uses the features of common."""

import os
from logging import INFO

from common import settings as common

SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
ROOT_URLCONF = "common.tests.urls"
INSTALLED_APPS = ["common", "drf_spectacular"]
MIDDLEWARE = [
    "common.http.middleware.RequestIDMiddleware",
    "common.operations.health.HealthMiddleware",
    "common.http.middleware.TracingMiddleware",
    "common.operations.metrics.MetricsMiddleware",
    "common.http.middleware.RequestLimitsMiddleware",
    "django.middleware.common.CommonMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATA_UPLOAD_MAX_MEMORY_SIZE = common.DATA_UPLOAD_MAX_MEMORY_SIZE
DATA_UPLOAD_MAX_NUMBER_FIELDS = common.DATA_UPLOAD_MAX_NUMBER_FIELDS
DATA_UPLOAD_MAX_NUMBER_FILES = common.DATA_UPLOAD_MAX_NUMBER_FILES
REST_FRAMEWORK = common.REST_FRAMEWORK
SPECTACULAR_SETTINGS = common.SPECTACULAR_SETTINGS | {"TITLE": "common", "DESCRIPTION": ""}
SENTRY_DSN = os.environ.get("SENTRY_DSN", "")
SENTRY_ENVIRONMENT = "tests"
LOGGING = common.logging(INFO, sentry=bool(SENTRY_DSN))
USE_I18N = False
USE_TZ = True
CONTENT_SECURITY_POLICY = common.API_CONTENT_SECURITY_POLICY

TOKENS_JWKS = "set by tests/conftest.py"
TOKENS_ISSUER = "users-api"
TRUSTED_PROXIES: list[object] = []
VERSION = "1.2.3"
COMMIT = "0123abc"
MANAGEMENT_PORT = 0

LARGE = 5_000_000  # bytes; the size of the response from /large/, which is more than the kernel buffers

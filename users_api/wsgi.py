"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "users_api.settings")
application = get_wsgi_application()

# Without a signing key nobody could log in: better not to start at all.
from users_api.keys import key_ring  # noqa: E402

key_ring()

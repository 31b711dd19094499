"""The WSGI application that gunicorn serves."""

import os

from common.http.wsgi import get_wsgi_application
from users_api.keys import key_ring

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "users_api.settings")
# Without a signing key nobody could log in: better not to start at all.
key_ring()
application = get_wsgi_application()

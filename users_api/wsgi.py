"""The WSGI application that gunicorn serves."""

import os

from common.http.wsgi import get_wsgi_application
from users_api.keys import key_ring

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "users_api.settings")
# Load the keys now. If the signing key is missing, the process must not start, because no user could log in.
key_ring()
application = get_wsgi_application()

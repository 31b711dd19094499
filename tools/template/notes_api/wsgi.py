"""The WSGI application that gunicorn serves."""

import os

from common.http.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes_api.settings")
application = get_wsgi_application()

"""Tell HTTP caches (RFC 9111) which responses they may store.

The decorators are for view classes. They set the header Cache-Control of the view's responses, including
errors that Django REST framework handles.
"""

from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control

# Caches may store the response, but must revalidate it before each use.
public = method_decorator(cache_control(public=True, no_cache=True), name="dispatch")
# Caches must not store the response, because it contains personal data or tokens (RFC 6749 section 5.1).
own = method_decorator(cache_control(private=True, no_store=True), name="dispatch")

"""Find the text fields of a project that accept input of any length."""

from rest_framework.serializers import CharField, Serializer

from common.http.urls import load_views


def unbounded_text_fields(package: str) -> set[str]:
    """Return the text fields without a maximum length, as "Serializer.field".

    The function searches all serializers in a package, but ignores fields that are only in responses.
    """
    load_views()
    found, classes = set(), list(Serializer.__subclasses__())
    for each in classes:
        classes += each.__subclasses__()
        if each.__module__.partition(".")[0] == package:
            for name, field in each().fields.items():
                if isinstance(field, CharField) and not field.read_only and field.max_length is None:
                    found.add(f"{each.__name__}.{name}")
    return found

from importlib import import_module

from django.db import migrations

search_index = import_module("thoughts_api.migrations.0002_search_index")

# 0002 once made an index without pieces of four letters, in which a search would miss thoughts.
IS_THERE = """
SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('thought_by_piece') AND indisvalid
AND pg_get_indexdef(indexrelid) NOT LIKE '%thought_spans%'
"""


def build_where_it_is_old(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(IS_THERE)
            if not cursor.fetchone():
                search_index.build(apps, schema_editor)


class Migration(migrations.Migration):

    atomic = False  # CONCURRENTLY, for a table in use

    dependencies = [
        ("thoughts_api", "0002_search_index"),
    ]

    operations = [
        migrations.RunPython(build_where_it_is_old, migrations.RunPython.noop),
    ]

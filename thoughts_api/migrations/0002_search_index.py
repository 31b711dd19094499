from django.db import migrations

# The numbers of a text's pieces of one, two and three characters: their code points as the digits of a number, modulo
# a prime that an int4 holds. `thoughts_api.search` counts in the same way.
PIECES = """
CREATE OR REPLACE FUNCTION thought_pieces(folded text) RETURNS int4[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    pieces int4[] := '{}';
    a int8 := 0;
    b int8 := 0;
    c int8;
    letter text;
BEGIN
    FOREACH letter IN ARRAY string_to_array(folded, NULL) LOOP
        c := ascii(letter);
        pieces := pieces
            || ARRAY[c, (b * 1114112 + c) % 2147483647, ((a * 1114112 + b) * 1114112 + c) % 2147483647]::int4[];
        a := b;
        b := c;
    END LOOP;
    RETURN pieces;
END
$$
"""

# The spans of 2**12 and of 2**17 ids that an id is in; the wider ones have negative numbers.
SPANS = """
CREATE OR REPLACE FUNCTION thought_spans(id int8) RETURNS int8[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT ARRAY[id >> 12, ~(id >> 17)]'
"""

DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS thought_by_piece"

# New entries wait in a list of at most 1 MB: whoever fills it up waits for a fourth of what a list of 4 MB, the default,
# takes to be sorted in.
INDEX = """
CREATE INDEX CONCURRENTLY thought_by_piece ON thoughts_api_thought
USING gin (thought_pieces(folded), thought_spans(id)) WITH (gin_pending_list_limit = 1024)
"""

# Without statistics the planner has nothing to guess from: the plans are always the ones that were measured.
NO_STATISTICS = [f"ALTER INDEX thought_by_piece ALTER COLUMN {column} SET STATISTICS 0" for column in (1, 2)]


def on_postgresql(*statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement, params=None)

    return run


class Migration(migrations.Migration):

    atomic = False  # CONCURRENTLY, for a table in use

    dependencies = [
        ("thoughts_api", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(
            # Dropped first, because a run that was interrupted leaves an index that is not valid.
            on_postgresql(PIECES, SPANS, DROP_INDEX, INDEX, *NO_STATISTICS),
            on_postgresql(DROP_INDEX, "DROP FUNCTION thought_pieces, thought_spans"),
        ),
    ]

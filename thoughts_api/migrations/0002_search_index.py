from django.db import migrations

# Return the numbers of a text's n-grams ("pieces"): all of one, two and three characters. Those of four are included
# if the middle two are common letters, because too many texts contain such trigrams. A number has the code points as
# its digits, modulo a prime that fits an int4. `thoughts_api.search` computes the same numbers. Each statement appends
# one number, because PL/pgSQL then changes the array in place instead of copying it.
FUNCTION = """
CREATE OR REPLACE FUNCTION thought_pieces(folded text) RETURNS int4[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    pieces int4[] := '{}';
    letter text;
    one int4 := 0;
    two int4 := 0;
    three int4 := 0;
    common int4 := 0; -- length of the current run of common letters
BEGIN
    FOREACH letter IN ARRAY string_to_array(folded, NULL) LOOP
        IF common > 1 THEN
            pieces := array_append(pieces, ((three * 1114112::int8 + ascii(letter)) % 2147483647)::int4);
        END IF;
        three := ((two * 1114112::int8 + ascii(letter)) % 2147483647)::int4;
        two := ((one * 1114112::int8 + ascii(letter)) % 2147483647)::int4;
        one := ascii(letter);
        pieces := array_append(pieces, one);
        pieces := array_append(pieces, two);
        pieces := array_append(pieces, three);
        common := CASE WHEN letter IN (
            ' ', 'e', 't', 'a', 'o', 'i', 'n', 's', 'r', 'h', 'о', 'е', 'а', 'и', 'н', 'т', 'с', 'р'
        ) THEN common + 1 ELSE 0 END;
    END LOOP;
    RETURN pieces;
END
$$
"""

DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS thought_by_piece"

# The second column holds the spans of 2**12 and of 2**17 ids that contain the id; the wide spans have negative numbers.
# New entries wait in a pending list. With 2 MB instead of 4 MB, the write that flushes it is shorter, and each search
# scans less of it.
INDEX = """
CREATE INDEX CONCURRENTLY thought_by_piece ON thoughts_api_thought
USING gin (thought_pieces(folded), (ARRAY[id >> 12, ~(id >> 17)])) WITH (gin_pending_list_limit = 2048)
"""

# Without statistics, the planner always chooses the plans that were measured.
NO_STATISTICS = [f"ALTER INDEX thought_by_piece ALTER COLUMN {column} SET STATISTICS 0" for column in (1, 2)]


def on_postgresql(*statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement, params=None)

    return run


# Dropped first, because an interrupted run leaves an invalid index.
build = on_postgresql(FUNCTION, DROP_INDEX, INDEX, *NO_STATISTICS)


class Migration(migrations.Migration):

    atomic = False  # required by CONCURRENTLY, which keeps the table writable

    dependencies = [
        ("thoughts_api", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(build, on_postgresql(DROP_INDEX, "DROP FUNCTION thought_pieces")),
    ]

from django.db import migrations

# The numbers of a text's pieces: all of one, two and three characters, and those of four whose middle is two of the
# commonest letters, because pieces of three are in too many texts there. A number is made of the code points as its
# digits, modulo a prime that an int4 holds. `thoughts_api.search` counts in the same way. One statement appends one
# number: PL/pgSQL changes the array in place then, and copies it otherwise.
FUNCTION = """
CREATE OR REPLACE FUNCTION thought_pieces(folded text) RETURNS int4[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    pieces int4[] := '{}';
    letter text;
    one int4 := 0;
    two int4 := 0;
    three int4 := 0;
    common int4 := 0; -- how many of the commonest letters came last, one after the other
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

# The second column has the spans of 2**12 and of 2**17 ids that an id is in; the wider ones have negative numbers.
# New entries wait in a list of at most 2 MB: whoever fills it up waits for half of what a list of 4 MB, the default, takes
# to be sorted in, and each search reads half as much beside the index.
INDEX = """
CREATE INDEX CONCURRENTLY thought_by_piece ON thoughts_api_thought
USING gin (thought_pieces(folded), (ARRAY[id >> 12, ~(id >> 17)])) WITH (gin_pending_list_limit = 2048)
"""

# Without statistics the planner has nothing to guess from: the plans are always the ones that were measured.
NO_STATISTICS = [f"ALTER INDEX thought_by_piece ALTER COLUMN {column} SET STATISTICS 0" for column in (1, 2)]


def on_postgresql(*statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement, params=None)

    return run


# Dropped first, because a run that was interrupted leaves an index that is not valid.
build = on_postgresql(FUNCTION, DROP_INDEX, INDEX, *NO_STATISTICS)


class Migration(migrations.Migration):

    atomic = False  # CONCURRENTLY, for a table in use

    dependencies = [
        ("thoughts_api", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(build, on_postgresql(DROP_INDEX, "DROP FUNCTION thought_pieces")),
    ]

from django.db import migrations

# This SQL function returns the n-grams ("pieces") of a text, which are its substrings of one, two and three characters.
# It also returns a substring of four characters if the two in the middle are common letters. Trigrams of
# common letters occur in too many texts, and a fourth character makes the n-gram rarer.
#
# Each n-gram is returned as a number. Its digits, in base 1114112, are the code points of the characters. The number is
# taken modulo the prime 2**31 - 1, so that it fits into an int4. `thoughts_api.search` computes the same numbers.
#
# Each statement appends only one number, because PL/pgSQL then extends the array in place instead of copying it.
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

# The index has two columns. The first holds the n-grams of the text. The second says roughly where the id is, so that a
# search can be limited to a range of ids. For this purpose, the ids are divided into spans of 2**12 consecutive ids, and also
# into wide spans of 2**17. The column holds the number of the span and the number of the wide span that contain the id.
# `~` makes the numbers of wide spans negative, so the two kinds of numbers never collide.
#
# PostgreSQL first collects new entries of a GIN index in a pending list. The list is limited to 2 MB instead of 4 MB.
# The write that flushes this list then takes less time, and so does each search, which scans the whole list.
INDEX = """
CREATE INDEX CONCURRENTLY thought_by_piece ON thoughts_api_thought
USING gin (thought_pieces(folded), (ARRAY[id >> 12, ~(id >> 17)])) WITH (gin_pending_list_limit = 2048)
"""

# Collect no statistics on these columns. The planner then always chooses the plan whose speed was measured, whatever
# the texts contain.
NO_STATISTICS = [f"ALTER INDEX thought_by_piece ALTER COLUMN {column} SET STATISTICS 0" for column in (1, 2)]


def on_postgresql(*statements):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement, params=None)

    return run


# Drop the index first, because an interrupted run of this migration leaves an invalid index.
build = on_postgresql(FUNCTION, DROP_INDEX, INDEX, *NO_STATISTICS)


class Migration(migrations.Migration):

    # CREATE INDEX CONCURRENTLY does not block writes to the table, but it cannot run in a transaction.
    atomic = False

    dependencies = [
        ("thoughts_api", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(build, on_postgresql(DROP_INDEX, "DROP FUNCTION thought_pieces")),
    ]

from django.db import migrations, transaction

from common.folding import fold

BATCH = 500  # rows

# During the rollout, pods of the previous release still write texts with the old folding. It keeps invisible characters
# and does not convert every kind of space to " ". This trigger corrects the rows that those pods write. The next
# release drops the trigger.
# The ranges are IGNORABLE of `common.folding`, and the characters for which `str.isspace` is true.
IGNORABLE = (
    r'\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164'
    r'\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF'
)
SPACES = r'\u0009-\u000D\u001C-\u001F\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000'
FUNCTION = f"""
CREATE OR REPLACE FUNCTION thought_fold_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.folded := regexp_replace(regexp_replace(NEW.folded, '[{IGNORABLE}]', '', 'g'), '[{SPACES}]', ' ', 'g');
    RETURN NEW;
END
$$
"""
TRIGGER = f"""
CREATE OR REPLACE TRIGGER thought_fold_again BEFORE INSERT OR UPDATE OF folded ON thoughts_api_thought
FOR EACH ROW WHEN (NEW.folded ~ '[{IGNORABLE}{SPACES}]') EXECUTE FUNCTION thought_fold_again()
"""


def add_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == 'postgresql':
        schema_editor.execute(FUNCTION, params=None)
        schema_editor.execute(TRIGGER, params=None)


def drop_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == 'postgresql':
        schema_editor.execute('DROP FUNCTION IF EXISTS thought_fold_again() CASCADE', params=None)


def fold_again(apps, schema_editor):
    """Update the rows whose folded text differs, in short transactions.

    An interrupted run can be repeated.
    """
    alias = schema_editor.connection.alias
    thoughts = apps.get_model('thoughts_api', 'Thought').objects.using(alias)
    last = 0
    while batch := list(thoughts.filter(id__gt=last).order_by('id').only('text', 'folded')[:BATCH]):
        last = batch[-1].id
        with transaction.atomic(using=alias):
            for thought in batch:
                if (folded := fold(thought.text)) != thought.folded:
                    # The condition on the text skips a thought that another process has changed since it was read.
                    thoughts.filter(id=thought.id, text=thought.text).update(folded=folded)


class Migration(migrations.Migration):

    atomic = False  # a single transaction would lock all changed rows until it ends

    dependencies = [
        ('thoughts_api', '0003_write_count'),
    ]

    operations = [
        migrations.RunPython(add_trigger, drop_trigger),
        migrations.RunPython(fold_again, migrations.RunPython.noop),
    ]

from django.db import migrations, models

from users_api.models import lookalike_key


def fill(apps, schema_editor):
    """Set `lookalike_key` for existing accounts.

    If two names look alike, only the older account gets the key.
    """
    User = apps.get_model('users_api', 'User')
    taken = set()
    for user in User.objects.order_by('pk').only('username').iterator():
        key = lookalike_key(user.username)
        if key not in taken:
            taken.add(key)
            User.objects.filter(pk=user.pk).update(lookalike_key=key)


class Migration(migrations.Migration):

    dependencies = [
        ('users_api', '0003_sessions'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='lookalike_key',
            field=models.CharField(editable=False, max_length=500, null=True, unique=True),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]

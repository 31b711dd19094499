import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Replace refresh tokens with sessions. All users must log in again.

    The migration deletes all refresh tokens, but not their table, because pods of the previous release still write to
    this table during a rollout.
    """

    dependencies = [
        ('users_api', '0002_known_networks'),
    ]

    operations = [
        migrations.CreateModel(
            name='Session',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('began', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('used', models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False, verbose_name='last used')),
                ('ends', models.DateTimeField(db_index=True, editable=False)),
                ('network', models.CharField(blank=True, editable=False, max_length=50, verbose_name='from network')),
                ('device', models.CharField(blank=True, editable=False, max_length=50)),
                ('password_checked', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('rotation', models.PositiveBigIntegerField(default=0, editable=False)),
                ('issued', models.JSONField(default=list, editable=False)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sessions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-used', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='SignUp',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.GenericIPAddressField(null=True)),
                ('time', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                'indexes': [models.Index(fields=['address', 'time'], name='sign_up_by_address')],
            },
        ),
        # Drop the foreign key. Otherwise, rows in this table could prevent the deletion of an account.
        migrations.AlterField(
            model_name='refreshtoken',
            name='user',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='refresh_tokens', to=settings.AUTH_USER_MODEL),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.DeleteModel(name='RefreshToken')],
            database_operations=[migrations.RunSQL('DELETE FROM users_api_refreshtoken', migrations.RunSQL.noop)],
        ),
    ]

from django.db import models


class Note(models.Model):
    username = models.CharField(max_length=50)
    text = models.CharField(max_length=250)
    creation = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["username", "id"], name="by_username")]

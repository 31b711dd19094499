#!/usr/bin/env python
"""Django's command line for users_api."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder is the package `users_api`, so Python must look for it in the parent folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "users_api.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)

#!/usr/bin/env python
"""Django's command line for notes_api."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder is the package; what must be importable is the one that holds it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notes_api.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)

#!/usr/bin/env python
"""Django's command line for web."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder is the package, so its parent must be on the import path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "web.settings")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)

"""``python -m storaged`` is the command ``storaged``."""

from __future__ import annotations

import sys

from storaged.cli import main

sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Write this process down, then become the command that follows.

`python -m tests.testbed.holder FILE COMMAND...` leaves no moment in which the command runs unrecorded.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .processes import Process

if __name__ == "__main__":
    own = Process.of(os.getpid())
    assert own is not None
    own.write(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Import a built collection as Galaxy does, and fail on whatever Galaxy would refuse or warn of.

Without the importer's run of ansible-lint: the stage lint has a stricter one, which also sees the collections that this one uses.
Usage: python scripts/galaxy_import.py ARCHIVE
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from galaxy_importer.collection import CollectionFilename, import_collection
from galaxy_importer.config import Config
from galaxy_importer.exceptions import ImporterError


class Complaints(logging.Handler):
    """Keeps what is said above the level of information."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.found.append(f"{record.levelname}: {record.getMessage()}")


def main(archive: Path) -> int:
    """Import it; return the exit code."""
    complaints = Complaints()
    logger = logging.getLogger("galaxy_importer")
    logger.addHandler(complaints)
    name = CollectionFilename(*archive.name.removesuffix(".tar.gz").split("-", 2))
    with archive.open("rb") as file, tempfile.TemporaryDirectory() as work:
        settings = Config({"ansible_local_tmp": work, "check_required_tags": True, "run_ansible_lint": False})
        try:
            imported = import_collection(file, name, logger=logger, cfg=settings)
        except ImporterError as error:
            complaints.found.append(f"refused: {error}")
        else:
            print(f"imported with {len(imported['contents'])} parts")
    for complaint in complaints.found:
        print(complaint, file=sys.stderr)
    return 1 if complaints.found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}\Z")


def images_by_tag(images: Sequence[str]) -> list[str]:
    """Return the images that are not named by their digest, each once and in their order."""
    if isinstance(images, str) or not all(isinstance(image, str) for image in images):
        raise AnsibleFilterError("images_by_tag needs a list of texts")
    return list(dict.fromkeys(image for image in images if not DIGEST.search(image)))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"images_by_tag": images_by_tag}

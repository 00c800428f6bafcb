# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.filter.images_by_tag import images_by_tag

DIGEST = f"@sha256:{'0a' * 32}"


def test_only_images_with_a_whole_digest_are_left_out() -> None:
    tagged = ["example.com/a:1", "a", f"a{DIGEST[:-1]}", f"a{DIGEST}0", f"a{DIGEST.upper()}", f"a{DIGEST}\n", ""]
    assert images_by_tag([f"example.com/a{DIGEST}", *tagged, f"a:1{DIGEST}", "a"]) == tagged


@pytest.mark.parametrize("images", ["a:1", [{"image": "a:1"}], [None]])
def test_anything_but_a_list_of_texts_is_refused(images: object) -> None:
    with pytest.raises(AnsibleFilterError, match="list of texts"):
        images_by_tag(images)  # type: ignore[arg-type]

# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a launch waits for a provider that does not answer."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.operations import launcher

GENESIS = object()


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [(0, []), (1, [0.2]), (3, [0.2, 0.4, 0.8]), (99, [0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])],
)
def test_a_query_that_fails_is_tried_again_after_pauses_that_grow(
    failures: int, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def launch_of(*_arguments: Any) -> object:
        if len(slept) < failures:
            raise QueryFailed("connection refused")
        return GENESIS

    monkeypatch.setattr(launcher, "launch_of", launch_of)
    monkeypatch.setattr(launcher.time, "sleep", slept.append)
    made = object.__new__(launcher.Launcher)
    made._client = None
    if failures < 99:
        assert made._launch("5", started_before=False) is GENESIS
    else:
        with pytest.raises(QueryFailed):
            made._launch("5", started_before=False)
    assert slept == pauses

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import catalogue as rules


def catalogue_entry(
    record: Mapping[str, Any], catalogue: Sequence[Mapping[str, Any]], image: str = ""
) -> dict[str, Any]:
    """What the catalogue says of a consumer, as it was returned by consumer_info."""
    default = rules.Entry(image=image) if image else rules.Entry()
    try:
        entry = rules.find(
            _plain(catalogue),
            consumer_id=str(record["consumer_id"]),
            owner=str(record.get("owner_address", "")),
            binary_hash=str(record.get("binary_hash", "")),
            default=default,
        )
    except InvalidInput as error:
        raise AnsibleFilterError(f"catalogue_entry: {error}") from error
    source = entry.base_genesis
    genesis: dict[str, Any] = {"init": True}
    if source.url:
        genesis = {"url": source.url}
    elif source.file:
        genesis = {"file": source.file}
    elif source.config_map:
        genesis = {"config_map": dict(zip(("namespace", "name", "key"), source.config_map, strict=True))}
    signer = entry.remote_signer
    remote = {"public_key": signer.public_key, "from": list(signer.sources), "service_type": signer.service_type}
    return {**dataclasses.asdict(entry), "base_genesis": genesis, "remote_signer": remote}


def _plain(value: Any) -> Any:
    """Copy containers into plain ones: those of the template engine cannot be copied by the standard library."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"catalogue_entry": catalogue_entry}

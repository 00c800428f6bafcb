# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Announce on chain where a validator's nodes are reached."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    announcement,
)
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "p2p": {"type": "str"},
    "node": {"type": "str", "default": ""},
    "relayer": {"type": "str", "default": ""},
}
UNCHANGED = "[do-not-modify]"  # the staking module's own word for a field that stays as it is


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the announcement in the details of the signing validator into the wanted state."""
    if params["state"] == "present":
        if params["p2p"] is None:
            raise InvalidInput("p2p is missing: the host under which other validators reach the nodes")
        announcement.checked_host(params["p2p"])
    signer = connection.signer(params)
    client = connection.provider_client(params)
    validator = connection.own_validator(client, signer)
    operator = validator.operator_address
    details = _wanted_details(validator.details, params)
    result: dict[str, Any] = {
        "changed": details != validator.details,
        "operator_address": operator,
        "details": details,
        "tx_hash": None,
        "diff": {"before": validator.details + "\n", "after": details + "\n"},
    }
    if not result["changed"] or check_mode:
        return result

    def decide() -> Wanted | None:
        nonlocal details
        current = connection.own_validator(client, signer).details
        details = _wanted_details(current, params)
        if details == current:
            return None
        message = messages.staking_tx_pb2.MsgEditValidator(validator_address=operator)
        for field in ("moniker", "identity", "website", "security_contact"):
            setattr(message.description, field, UNCHANGED)
        message.description.details = details
        return Wanted(message, "cosmos.staking.v1beta1.MsgEditValidator")

    sent = transaction.send_until(client, signer, decide)
    if connection.own_validator(client, signer).details != details:
        raise QueryFailed(
            f"{operator} was edited but the chain shows other details: another writer changed them, run again"
        )
    result.update(changed=sent is not None, details=details, tx_hash=None if sent is None else sent.hash)
    return result


def _wanted_details(current: str, params: dict[str, Any]) -> str:
    """Return the details as they are to be; the validator's own text in them is kept."""
    if params["state"] == "absent":
        return announcement.remove(current)
    wanted = announcement.Announcement(node=params["node"], relayer=params["relayer"], p2p=params["p2p"])
    return announcement.compose(current, wanted)

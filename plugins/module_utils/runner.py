# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running an operation from a module or from an action plugin: both give the same result and the same errors."""

from __future__ import annotations

from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.interchain.security.plugins.module_utils.chain import (
    account_key,
    rpc,
    transaction,
)
from ansible_collections.interchain.security.plugins.module_utils.cluster import key_store
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    address,
    consensus_key,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

LIBRARIES = {
    "bech32": address.HAS_BECH32,
    "cosmpy": account_key.HAS_COSMPY,
    "cryptography": consensus_key.HAS_CRYPTOGRAPHY,
    "httpx": rpc.HAS_HTTPX,
    "kubernetes": key_store.HAS_KUBERNETES,
    "protobuf": messages.HAS_PROTOBUF,
    "tenacity": transaction.HAS_TENACITY,
}


class Operation(Protocol):
    """What each file of ``operations/`` offers besides its name."""

    ARGUMENT_SPEC: dict[str, Any]

    def run(self, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        """Do it and return the module's result; InterchainError when it cannot be done."""


def execute(operation: Operation, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Run an operation and return a module result, ``failed`` with one clear ``msg`` when it cannot be done."""
    missing = [name for name, present in LIBRARIES.items() if not present]
    if missing:
        return {
            "failed": True,
            "changed": False,
            "msg": missing_required_lib(", ".join(missing)),
        }
    try:
        return operation.run(params, check_mode)
    except InterchainError as error:
        return {"failed": True, "changed": False, "msg": str(error)}


def run_module(operation: Operation) -> None:
    """The main() of each module."""
    module = AnsibleModule(argument_spec=operation.ARGUMENT_SPEC, supports_check_mode=True)
    result = execute(operation, module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)

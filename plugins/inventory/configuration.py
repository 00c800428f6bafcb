# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: configuration
short_description: One validator's settings out of config.yaml and the environment
version_added: 0.1.0
description:
  - Makes the variables that all playbooks of this collection read, on C(localhost), out of one file and the environment.
  - Each key is checked. One that is unknown, or whose value cannot be used, is refused by name, all of them at once.
  - The environment counts more than the file. Other inventories and C(--extra-vars) count more than both, as always in Ansible.
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
options:
  plugin:
    description: Says that the file is meant for this plugin.
    required: true
    choices: [interchain.security.configuration]
notes:
  - The file's name must end in C(.yml) or C(.yaml).
  - Ansible goes on without an inventory that could not be read, unless E(ANSIBLE_INVENTORY_UNPARSED_FAILED) is true. Nothing of such a file is used.
  - All other keys, their types, environment variables and meanings are listed in C(docs/configuration.md) of the collection.
"""

EXAMPLES = r"""
# config.yaml, for ansible-playbook --inventory config.yaml interchain.security.deploy_monitor
plugin: interchain.security.configuration
validator: alice
operator_address: cosmosvaloper1rhqk6kfe5gqpf4rye7a4h7gpwh3z7mee4cs9vv
provider_rpc_url: [https://node-0.example.com:26657, https://node-1.example.com:26657]
provider_chain_id: provider-1
storage_size: 20Gi
"""

import os
import sys
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import configuration

HOST = "localhost"


class InventoryModule(BaseInventoryPlugin):
    """Reads one file."""

    NAME = "interchain.security.configuration"

    def verify_file(self, path: str) -> bool:
        """Tell by its name whether a file is meant for this plugin."""
        return super().verify_file(path) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory; AnsibleParserError names what cannot be used."""
        super().parse(inventory, loader, path, cache)
        given = dict(loader.load_from_file(path, cache="none") or {})
        if given.pop("plugin", None) != self.NAME:
            raise AnsibleParserError(f"{path}: it needs the line 'plugin: {self.NAME}'")
        try:
            settings = configuration.read(given, os.environ, os.path.basename(path))
        except InvalidInput as error:
            raise AnsibleParserError(f"{path} and the environment cannot be used:\n{error}") from error
        self.inventory.add_host(HOST)
        self.inventory.set_variable(HOST, "ansible_connection", "local")
        self.inventory.set_variable(HOST, "ansible_python_interpreter", sys.executable)
        for name, value in configuration.as_variables(settings).items():
            self.inventory.set_variable(HOST, name, value)
        # For the playbook config_check.
        read = {entry.key.name: {"value": entry.value, "source": entry.source} for entry in settings}
        self.inventory.set_variable(HOST, "interchain_configuration", read)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: consumers
short_description: Consumer chains of a provider chain as hosts
version_added: 0.1.0
description:
  - Makes a host of each consumer chain that a provider chain knows, and groups them by phase, by owner, and by what a validator is to them.
  - The host is named C(consumer-<consumer_id>). Nothing is connected to; tasks for it run on the controller (C(ansible_connection) is V(local)).
  - Text such as C(chain_id) is written by strangers. It is never a template, and never the name of a host or a group unless O(keyed_groups) asks for it;
    then whatever is no letter, digit or underscore becomes an underscore.
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Says that the file is meant for this plugin.
    required: true
    choices: [interchain.security.consumers]
  provider_rpc_url:
    description:
      - RPC addresses of nodes of the provider chain, for example V(http://127.0.0.1:26657). The first that answers is used.
      - They may hold a user name and a password; give them in the environment then.
    type: list
    elements: str
    required: true
    env:
      - name: PROVIDER_RPC_URL
  provider_chain_id:
    description: The chain_id that the provider must have; a node of another chain is refused.
    type: str
    env:
      - name: PROVIDER_CHAIN_ID
  request_timeout:
    description: Seconds that a request to a node may take.
    type: float
    default: 10.0
  operator_address:
    description: Operator address of the validator whose role is of interest. Without it, and without a state store, there are no groups C(role_*).
    type: str
    env:
      - name: INTERCHAIN_OPERATOR_ADDRESS
  state_namespace:
    description: Namespace of the validator's monitor, for what it decided and what its nodes do.
    type: str
    env:
      - name: INTERCHAIN_MONITOR_NAMESPACE
  state_directory:
    description: Absolute path of the monitor's state documents, where there is no cluster. Not together with O(state_namespace).
    type: path
  kubeconfig:
    description: Kubeconfig of the cluster of O(state_namespace).
    type: path
    env:
      - name: K8S_AUTH_KUBECONFIG
      - name: KUBECONFIG
  phase:
    description: Only consumers in one of these phases. The provider remembers deleted ones for ever.
    type: list
    elements: str
    choices: [registered, initialized, launched, stopped, deleted]
    default: [registered, initialized, launched, stopped]
  filters:
    description:
      - Jinja2 conditions. Only consumers for which all of them are true become hosts.
      - They see the host's variables, without those of O(compose).
    type: list
    elements: str
    default: []
notes:
  - The file's name must end in C(consumers.yml) or C(consumers.yaml).
  - Variables of a host are C(consumer), all that M(interchain.security.consumer_info) returns of it, and, out of that, C(consumer_id), C(chain_id),
    C(phase) and C(owner_address); C(consumer_role), what the validator is to it, where that is asked for; C(provider_height) and
    C(provider_block_time), what was read.
"""

EXAMPLES = r"""
# consumers.yml, for ansible-inventory --inventory consumers.yml --graph
plugin: interchain.security.consumers
provider_rpc_url:
  - http://127.0.0.1:26657

---
# The launched consumers in which a validator takes part, with the age of the answer limited to a minute
plugin: interchain.security.consumers
provider_rpc_url:
  - https://provider-0.example.com:443
  - https://provider-1.example.com:443
provider_chain_id: provider-1
operator_address: cosmosvaloper1rhqk6kfe5gqpf4rye7a4h7gpwh3z7mee4cs9vv
state_namespace: alice-monitor
phase: [launched]
filters:
  - consumer_role in ['signs', 'follows']
compose:
  node_namespace: "'alice-consumer-' ~ consumer_id"
groups:
  unhealthy: consumer.node.conditions | default([]) | rejectattr('status', 'equalto', 'True') | length > 0
keyed_groups:
  - prefix: top_n
    key: consumer.top_n
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: /var/cache/interchain
cache_timeout: 60
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.interchain.security.plugins.module_utils.ics.role import role_of
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_info
from ansible_collections.interchain.security.plugins.module_utils.runner import execute

HOST_PREFIX = "consumer-"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads all consumers at one height, or takes them out of the cache."""

    NAME = "interchain.security.consumers"

    def verify_file(self, path: str) -> bool:
        """Tell by its name whether a file is meant for this plugin."""
        return super().verify_file(path) and path.endswith(("consumers.yml", "consumers.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory; AnsibleParserError when the chain, the cluster or an option does not allow it."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        # Names of groups are safe whatever the user's settings say, and without a warning each.
        self._sanitize_group_name = lambda name: to_safe_group_name(name, force=True, silent=True)
        found = self._cached(path, cache)
        for consumer in found["consumers"]:
            self._add(consumer, found)

    def _cached(self, path: str, cache: bool) -> dict[str, Any]:
        use_cache = self.get_option("cache")
        key = self.get_cache_key(path)
        if use_cache and cache:
            try:
                known: dict[str, Any] = self._cache[key]
                return known
            except KeyError:
                pass
        found = self._read()
        if use_cache:
            self._cache[key] = found
        return found

    def _read(self) -> dict[str, Any]:
        """Return what consumer_info says, all of one height."""
        params = {name: self.get_option(name) for name in consumer_info.ARGUMENT_SPEC if self.has_option(name)}
        # The environment's kubeconfig says nothing of whether a state store is wanted.
        if not params["state_namespace"]:
            params["kubeconfig"] = None
        result = execute(consumer_info, {**params, "consumer_id": None, "height": 0}, check_mode=False)
        if result.get("failed"):
            raise AnsibleParserError(f"{self.NAME}: {result['msg']}")
        return {name: result[name] for name in ("consumers", "height", "block_time")}

    def _add(self, consumer: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        variables: dict[str, Any] = {
            **{name: consumer[name] for name in ("consumer_id", "chain_id", "phase", "owner_address")},
            "consumer": consumer,
            "provider_height": found["height"],
            "provider_block_time": found["block_time"],
            "ansible_connection": "local",
        }
        operator = self.get_option("operator_address")
        if operator or self.get_option("state_namespace") or self.get_option("state_directory"):
            variables["consumer_role"] = role_of(
                is_opted_in=operator in consumer["opted_in"],
                decision=(consumer.get("opt_in") or {}).get("decision", ""),
                node_mode=(consumer.get("node") or {}).get("mode", ""),
            ).value
        if not all(self._holds(condition, variables) for condition in self.get_option("filters")):
            return
        host = f"{HOST_PREFIX}{consumer['consumer_id']}"
        self.inventory.add_host(host)
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        self._add_to_group(host, "phase", variables["phase"])
        self._add_to_group(host, "owner", variables["owner_address"])
        if "consumer_role" in variables:
            self._add_to_group(host, "role", variables["consumer_role"])
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)

    def _add_to_group(self, host: str, kind: str, value: str) -> None:
        if value:
            group = self.inventory.add_group(self._sanitize_group_name(f"{kind}_{value}"))
            self.inventory.add_host(host, group=group)

    def _holds(self, condition: str, variables: Mapping[str, Any]) -> bool:
        try:
            answer = self._compose(condition, variables)
        except AnsibleError as error:
            raise AnsibleParserError(
                f"{self.NAME}: filters: {condition!r} cannot be evaluated for consumer {variables['consumer_id']}: {error}"
            ) from error
        if not isinstance(answer, bool):
            raise AnsibleParserError(
                f"{self.NAME}: filters: {condition!r} is {answer!r} for consumer {variables['consumer_id']}, not true or false"
            )
        return answer

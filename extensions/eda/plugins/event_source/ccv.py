# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event source: what happens to the consumer chains of a Cosmos Interchain Security provider chain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

# ansible-rulebook runs this file by its path, with no collection on sys.path.
_ROOT, _SEPARATOR, _IN_COLLECTION = os.path.abspath(__file__).partition(f"{os.sep}ansible_collections{os.sep}")
if _IN_COLLECTION and _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

# Named here, so that a missing one is told by its name at the start.
import aiohttp  # noqa: F401  pylint: disable=unused-import
import httpx  # noqa: F401  pylint: disable=unused-import
import websockets  # noqa: F401  pylint: disable=unused-import

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import (
    StateStore,
    open_state_store,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import Arguments
from ansible_collections.interchain.security.plugins.module_utils.event_source.deliveries import Queue
from ansible_collections.interchain.security.plugins.module_utils.event_source.source import Source
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry, serve

DOCUMENTATION = r"""
---
short_description: What happens to the consumer chains of a provider chain
description:
  - Follows a provider chain of Cosmos Interchain Security block by block and sends one event for each consumer chain that has moved to another phase.
  - New blocks are learned of over the WebSocket of the node, and by asking for its status while the socket is silent.
    The results of every block are read in order, also those of blocks missed during an interruption; none is skipped.
    Where nodes no longer have them, all consumers are read instead, which is logged and noted in the cursor.
  - Events of a block are taken as hints only. A consumer is read back in the state of that block before anything is sent.
    A phase that moves without an event is found in the block at the consumer's spawn or removal time, and by reading all consumers at regular times.
  - With O(state_directory) or O(state_namespace) the source keeps the last block and every event that is on its way, and goes on there after a restart.
    An event stays on its way until the document C(consumer-<consumer_id>) of the same store holds a receipt with its C(meta.uuid), as the module
    M(interchain.security.event_receipt) writes it. One whose receipt says V(failed) is sent again after a pause that grows from 2 to 300 seconds,
    one without a receipt after O(action_timeout).
  - Without a store an event is done once it was taken, and each start sends C(phase_changed) for every consumer that is not deleted.
  - The source ends at SIGTERM and SIGINT only. It uses the first endpoint of the list that is well, leaves it when it fails or lags, and returns to it later.
  - While an endpoint belongs to another chain, or has another block at a known height, and while another monitor writes the same store,
    no event is sent. That is logged as an error beginning with C(ALARM).
  - An event holds checked values only, no text that the owner of a consumer chose.
options:
  provider_rpc_url:
    description:
      - RPC addresses of nodes of the provider chain, for example C(http://provider:26657), the preferred one first.
      - A text is taken as a list separated by commas.
    type: list
    elements: str
    required: true
  provider_chain_id:
    description:
      - The chain that the endpoints have to belong to.
      - Without it, the chain that the stored cursor names, or the one of the first endpoint that answers.
    type: str
  state_directory:
    description:
      - Absolute path of an existing directory in which the state is kept as files.
      - Mutually exclusive with O(state_namespace).
    type: str
  state_namespace:
    description:
      - Kubernetes namespace in which the state is kept as ConfigMaps.
      - The source needs to get, list, watch, create and patch ConfigMaps there.
    type: str
  kubeconfig:
    description:
      - Path of the kubeconfig for O(state_namespace).
      - Without it, E(K8S_AUTH_KUBECONFIG), E(KUBECONFIG), the service account of the pod, or the user's own kubeconfig.
    type: str
  request_timeout:
    description: Seconds to wait for an answer of a node.
    type: float
    default: 10.0
  sync_interval:
    description: Seconds between readings of all consumers.
    type: float
    default: 30.0
  poll_interval:
    description: Seconds between questions for a node's status while its socket is silent for longer than three blocks, or not connected.
    type: float
    default: 2.0
  silence_timeout:
    description:
      - Seconds without a new block after which the socket is taken for dead and opened again.
      - Five times the time between blocks is used where that is more.
    type: float
    default: 30.0
  spawn_notice:
    description: Seconds of block time before a spawn time at which C(spawn_imminent) is sent.
    type: float
    default: 20.0
  action_timeout:
    description: Seconds to wait for the receipt of an event before it is sent again.
    type: float
    default: 900.0
  check_interval:
    description:
      - Seconds between C(check_due), which asks for a look at the consumer nodes. V(0) sends none.
      - It needs a store, since the next one waits until the document C(check) of the store holds a receipt of the last one, as the module
        M(interchain.security.event_receipt) writes it without a consumer, or until O(action_timeout) has passed.
    type: float
    default: 60.0
  max_outstanding:
    description: Most events without a receipt at any time. Further ones wait, launches first.
    type: int
    default: 8
  confirm_endpoints:
    description: Number of endpoints that have to agree on the state of a consumer before an event of it is sent.
    type: int
    default: 1
  ca_file:
    description:
      - Path of the certificates, in PEM form, that endpoints with C(https) are checked against.
      - Without it, those of the system.
    type: str
  username:
    description: User name for HTTP basic authentication at the endpoints.
    type: str
  password:
    description: Password for HTTP basic authentication at the endpoints.
    type: str
  metrics_host:
    description: Address on which C(/healthz), C(/readyz) and C(/metrics) are served.
    type: str
    default: 127.0.0.1
  metrics_port:
    description: Port of them. V(0) serves none.
    type: int
    default: 0
notes:
  - The JSON schema of the events is C(extensions/eda/schemas/ccv.json) of the collection.
  - "C(phase_changed) has C(consumer_id) (text of digits), C(phase), C(previous_phase) (V(none) when not known), C(height), C(block_time), C(attempt)
    and, for an initialized consumer that has one, C(spawn_time)."
  - "C(consumer_updated) tells that the record of a consumer changed in the same phase. It has C(consumer_id), C(phase), C(height), C(block_time), C(attempt)
    and perhaps C(spawn_time)."
  - "C(spawn_imminent) has C(consumer_id), C(spawn_time), C(seconds) of block time left, C(height), C(block_time) and C(attempt). It is sent once."
  - "C(membership_changed) tells that a validator of a launched consumer opted in or out or has another key there. It has C(consumer_id), C(height),
    C(block_time) and C(attempt). Those of blocks that could not be read one by one are missed: a C(check_due) has to find what matters of them."
  - "C(endpoint_changed) has C(height) and C(block_time). Validators may announce another endpoint than before. It needs a store and a launched consumer, comes
    once for all changes within a few seconds, and not again before the document C(endpoints) of the store holds the receipt of the last one."
  - "C(started) has C(height) and C(block_time). It follows the first complete reading of all consumers after a start."
  - "C(check_due) has C(height) and C(block_time). The first one follows C(started) after O(check_interval)."
  - "All have C(meta.uuid). It is the same when the same change is found again after a restart, and another for each further attempt."
  - "A launch that failed since nobody had opted in shows as phase V(registered) with previous phase V(initialized)."
"""

EXAMPLES = r"""
- name: Follow the consumer chains
  hosts: localhost
  execution_strategy: parallel
  sources:
    - name: Provider chain
      interchain.security.ccv:
        provider_rpc_url:
          - http://provider-0:26657
          - http://provider-1:26657
        provider_chain_id: provider
        state_directory: /var/lib/interchain
        metrics_port: 8080
  rules:
    - name: A consumer was launched
      condition: event.type == "phase_changed" and event.phase == "launched"
      action:
        run_playbook:
          name: interchain.security.consumer_launched
          lock: "{{ event.consumer_id }}"
          extra_vars:
            consumer_id: "{{ event.consumer_id }}"
            event_height: "{{ event.height }}"
            event_uuid: "{{ event.meta.uuid }}"
            event_attempt: "{{ event.attempt }}"
"""


async def main(queue: Queue, args: dict[str, Any]) -> None:
    """Entry point of ansible-rulebook. Raises ValueError for an option that cannot be used, before anything else is done."""
    arguments = Arguments.from_args(args)
    store = _store(arguments)
    # It writes a line for each request, some of them every few seconds.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        telemetry = Telemetry()
        async with serve(telemetry, arguments.metrics_host, arguments.metrics_port):
            await Source(queue, arguments, telemetry, store, args.get("eda_feedback_queue")).run(_stop_signal())
    finally:
        if store is not None:
            store.close()


def _stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set.

    ansible-rulebook's own handler cuts running playbooks. When its source returns instead, it waits for them.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _store(arguments: Arguments) -> StateStore | None:
    try:
        return open_state_store(arguments.state_directory, arguments.state_namespace, arguments.kubeconfig)
    except InvalidInput as error:
        raise ValueError(str(error)) from error

# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that joins late and loads a snapshot of a consumer chain in place of all its blocks, with the keys that the README names."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from ansible_collections.interchain.security.plugins.module_utils.ics.catalogue import merged
from tests.integration.consumer_place import Place, Pod, wait_for
from tests.integration.single_node import free_port
from tests.testbed.parts import CHAIN

pytestmark = pytest.mark.timeout(300)

SNAPSHOT_EVERY = 5  # blocks
TRUSTED = 8


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Pod]:
    """The node of a validator whose catalogue lets it make snapshots."""
    directory = tmp_path / "place"
    directory.mkdir()
    place = Place(directory)
    pod = None
    try:
        place.start()
        consumer_id = place.create_consumer(spawn_in=14)
        place.opt_in(consumer_id)
        # All are kept: one that was found is asked for only when the search for others has ended.
        snapshots = {"snapshot-interval": SNAPSHOT_EVERY, "snapshot-keep-recent": 0}
        catalogue = [{"base_genesis": {"file": str(place.base_genesis)}, "app_config": {"state-sync": snapshots}}]
        place.converge("stage", consumer_id, interchain_catalogue=catalogue)
        place.await_launch(consumer_id)
        place.converge("launch", consumer_id, interchain_catalogue=catalogue)
        pod = Pod(place, consumer_id, tmp_path / "home")
        pod.stage()
        pod.start()
        wait_for("a snapshot above the trusted block", lambda: pod.height() > 2 * SNAPSHOT_EVERY + 2, 90)
        yield pod
    finally:
        if pod is not None:
            pod.kill()
        place.stop()


def test_a_node_loads_a_snapshot_and_goes_on(signer: Pod, tmp_path: Path) -> None:
    home, url = tmp_path / "follower", f"127.0.0.1:{free_port()}"
    program = CHAIN.ensure() / "interchain-security-cd"
    subprocess.run([program, "init", "follower", "--chain-id", "x", "--home", home], check=True, capture_output=True)
    shutil.copy(tmp_path / "home/config/genesis.json", home / "config/genesis.json")
    trusted = signer.rpc(f"commit?height={TRUSTED}")["signed_header"]["commit"]["block_id"]["hash"]
    peer = f"{signer.rpc('status')['node_info']['id']}@127.0.0.1:{signer.p2p_port}"
    settings = {
        "rpc": {"laddr": f"tcp://{url}"},
        "p2p": {"laddr": f"tcp://127.0.0.1:{free_port()}", "persistent_peers": peer, "external_address": ""},
        "priv_validator_key_file": "data/idle_key.json",  # of its own: it follows
        "priv_validator_state_file": "data/idle_state.json",
        "statesync": {
            "enable": True,
            "discovery_time": "5s",  # the shortest that is allowed
            "rpc_servers": f"{signer.url},{signer.url}",
            "trust_height": TRUSTED,
            "trust_hash": trusted,
        },
    }
    config = merged(tomllib.loads(signer.file("config.toml")), settings)
    (home / "config/config.toml").write_text(tomli_w.dumps(config))
    (home / "config/app.toml").write_text(signer.file("app.toml"))

    def followed() -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://{url}/status", timeout=2) as answer:
                found: dict[str, Any] = json.load(answer)["result"]["sync_info"]
        except OSError:
            return None
        return found if int(found["latest_block_height"]) > 2 * SNAPSHOT_EVERY else None

    with (tmp_path / "follower.log").open("wb") as log:
        process = subprocess.Popen([program, "start", "--home", home], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        sync = wait_for("the follower to have a newer block", followed, 120)
    finally:
        process.kill()
        process.wait()
        said = (tmp_path / "follower.log").read_text(errors="replace")
        print(said)  # the cause, when it has none
    assert int(sync["earliest_block_height"]) > SNAPSHOT_EVERY  # it never had the blocks before the snapshot
    assert "Snapshot restored" in said

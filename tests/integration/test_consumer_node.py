# SPDX-License-Identifier: GPL-3.0-or-later
"""The role consumer on a real provider and a real API server; its node runs as a process by the objects that the role made.

The tests build on each other and run in the order of this file: one consumer is staged, launched, looked at by a second monitor, loses its volume, is
stopped and removed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.genesis_store import GenesisStore, parts_of
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_key_assignment
from tests.fakes.rpc_proxy import RpcProxy
from tests.integration.consumer_place import MONITOR, VALIDATOR, Place, Pod, config_of, wait_for
from tests.operation import run_operation

pytestmark = pytest.mark.timeout(300)  # several playbooks each, and a busy machine

OTHER_IMAGE = "registry.example/other@sha256:" + "ab" * 32
STATE_SYNC = {
    "enable": True,
    "rpc_servers": "http://192.0.2.3:26657,http://192.0.2.4:26657",
    "trust_height": 1000,
    "trust_hash": "AB" * 32,
    "trust_period": "168h0m0s",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def secret(place: Place, name: str, namespace: str) -> dict[str, str]:
    found = place.get("Secret", name, namespace)
    return {} if found is None else {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def held_key(place: Place, consumer_id: str) -> str:
    text = secret(place, f"consumer-{consumer_id}-key", MONITOR)["priv_validator_key.json"]
    return str(json.loads(text)["pub_key"]["value"])


def memory(place: Place, consumer_id: str) -> dict[str, str]:
    found = place.get("ConfigMap", f"consumer-{consumer_id}", MONITOR)
    assert found is not None
    return found["data"]


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """What later tests need of earlier ones: the consumer_id."""
    return {}


def test_a_node_is_staged_and_launched_and_signs(place: Place, tmp_path: Path, seen: dict[str, str]) -> None:
    consumer_id = seen["consumer"] = place.create_consumer(spawn_in=14)
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    place.opt_in(consumer_id)

    place.converge("stage", consumer_id)
    staged = place.get("StatefulSet", "node", namespace, "apps/v1")
    assert staged is not None
    assert staged["spec"]["replicas"] == 0
    assert place.get("Secret", "keys", namespace) is None  # no key before the launch
    assert place.get("ConfigMap", "base-genesis", namespace) is not None
    found = place.get("Namespace", namespace, "")
    assert found is not None
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    policy = place.get("NetworkPolicy", "node", namespace, "networking.k8s.io/v1")
    assert policy is not None
    # Every pod but the relayer, which has a policy of its own.
    (but,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert (but["operator"], but["values"]) == ("NotIn", ["hermes"])
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    # RPC, gRPC and API are for the monitor and the relayer of this very consumer.
    (asked,) = [rule for rule in policy["spec"]["ingress"] if {"port": 26657, "protocol": "TCP"} in rule["ports"]]
    assert asked["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITOR}}},
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "hermes"}}},
    ]
    before = place.versions(consumer_id)
    place.converge("stage", consumer_id)
    assert place.versions(consumer_id) == before

    place.await_launch(consumer_id)
    result = place.converge("launch", consumer_id)
    assert result["refusal"] == ""
    assert result["launched"]["mode"] == "sign"
    assert secret(place, "keys", namespace)["priv_validator_key.json"]
    started = place.get("StatefulSet", "node", namespace, "apps/v1")
    assert started is not None
    assert started["spec"]["replicas"] == 1
    claim = place.get("PersistentVolumeClaim", "data", namespace)
    assert claim is not None
    leases = place.cluster.select("Lease", MONITOR, api_version="coordination.k8s.io/v1")
    assert [lease["spec"]["holderIdentity"] for lease in leases] == [claim["metadata"]["uid"]]
    remembered = memory(place, consumer_id)
    assert remembered["signing_key"] == held_key(place, consumer_id) != place.provider_key
    assert remembered["volume"] == claim["metadata"]["uid"]
    before = place.versions(consumer_id)
    place.converge("launch", consumer_id)
    assert place.versions(consumer_id) == before

    pod = Pod(place, consumer_id, tmp_path / "home")
    try:
        pod.stage()
        pod.start()
        wait_for("blocks", lambda: pod.height() >= 3)
        keys = {entry["pub_key"]["value"] for entry in pod.rpc("validators")["validators"]}
        assert keys == {held_key(place, consumer_id)}
        pod.kill()
        pod.start()  # the same volume: it goes on
        height = wait_for("its height", pod.height)
        wait_for("more blocks", lambda: pod.height() > height + 1)
    finally:
        pod.kill()
    another = Pod(place, consumer_id, tmp_path / "another")
    another.stage()
    (tmp_path / "another/data/owner").write_text("7-somebody")
    another.start()
    wait_for("the refusal", lambda: another.ended() is not None)
    assert another.ended() == 1
    assert "the data on this volume is that of consumer 7-somebody" in another.log.read_text()


def test_a_second_monitor_of_the_validator_does_not_sign(place: Place, seen: dict[str, str]) -> None:
    """It runs for the same validator, under another name; first without the key, then with a copy of it."""
    consumer_id = seen["consumer"]
    second = {"interchain_validator": "second", "interchain_fence_namespace": MONITOR}
    place.make_monitor("second-monitor")
    result = place.converge("launch", consumer_id, **second)["launched"]
    assert result["mode"] == "follow"
    assert result["reasons"] == ["no consensus key for this consumer is held here"]
    found = place.get("Secret", f"consumer-{consumer_id}-key", MONITOR)
    assert found is not None
    copied = {"name": f"consumer-{consumer_id}-key", "namespace": "second-monitor"}
    place.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": copied, "data": found["data"]})
    result = place.converge("launch", consumer_id, **second)["launched"]
    assert result["mode"] == "follow"
    assert "holds the fence of this key and chain" in result["reasons"][0]
    assert list(secret(place, "keys", f"second-consumer-{consumer_id}")) == ["node_key.json"]
    assert place.converge("launch", consumer_id)["launched"]["mode"] == "sign"


def test_a_lost_volume_lets_the_node_follow_but_not_sign(place: Place, tmp_path: Path, seen: dict[str, str]) -> None:
    consumer_id = seen["consumer"]
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    claim = place.get("PersistentVolumeClaim", "data", namespace)
    assert claim is not None
    place.lose_volume(consumer_id)
    place.converge("stage", consumer_id)
    cut = Pod(place, consumer_id, tmp_path / "cut")  # it has waited for a volume, and its launch has not come yet
    cut.stage()
    cut.start()
    wait_for("the refusal", lambda: cut.ended() is not None)
    assert cut.ended() == 1
    assert "it is to sign, and this is not the volume that its key signs on" in cut.log.read_text()

    result = place.converge("launch", consumer_id)
    assert result["launched"]["mode"] == "follow"
    assert "the volume with the sign state of this key is gone" in result["launched"]["reasons"][0]
    assert list(secret(place, "keys", namespace)) == ["node_key.json"]
    assert config_of(place, consumer_id)["priv_validator_state_file"] == "data/idle_state.json"
    assert memory(place, consumer_id)["volume"] == claim["metadata"]["uid"]  # the volume that signed is not forgotten

    pod = Pod(place, consumer_id, tmp_path / "home")
    try:
        pod.stage()
        pod.start()
        wait_for("the node to answer", lambda: pod.ended() is None and _answers(pod))
        assert pod.rpc("status")["validator_info"]["pub_key"]["value"] != held_key(place, consumer_id)
        state = json.loads((tmp_path / "home/data/priv_validator_state.json").read_text())
        assert state["height"] == "0"
    finally:
        pod.kill()


def _answers(pod: Pod) -> bool:
    try:
        pod.rpc("status")
    except OSError:
        return False
    return True


def test_a_node_is_stopped_and_removed(place: Place, seen: dict[str, str]) -> None:
    consumer_id = seen["consumer"]
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    place.converge("stop", consumer_id)
    stopped = place.get("StatefulSet", "node", namespace, "apps/v1")
    assert stopped is not None
    assert stopped["spec"]["replicas"] == 0
    assert place.get("PersistentVolumeClaim", "data", namespace) is not None
    assert place.leftovers() == [(consumer_id, "half_made")]  # launched, and stopped by us alone

    place.owner.remove(consumer_id)
    wait_for("the deletion", lambda: place.phase(consumer_id) == "deleted")
    assert place.leftovers() == [(consumer_id, "deleted")]
    place.converge("delete", consumer_id)
    assert place.get("Namespace", namespace, "") is None
    assert place.cluster.select("Lease", MONITOR, api_version="coordination.k8s.io/v1") == []
    assert held_key(place, consumer_id)  # kept, as long as evidence may come
    kept_until = memory(place, consumer_id)["key_kept_until"]
    assert place.leftovers() == []
    place.converge("delete", consumer_id)
    assert memory(place, consumer_id)["key_kept_until"] == kept_until


def test_a_chain_that_launched_with_the_providers_key_gets_an_own_one(place: Place) -> None:
    consumer_id = place.create_consumer(spawn_in=6)
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    place.owner.opt_in(consumer_id)  # without a key: the provider's own one counts
    place.await_launch(consumer_id)
    other = {
        "consumer_id": consumer_id,
        "image": OTHER_IMAGE,
        "binary": "other-chaind",
        "address_prefix": "other",
        "denom": "uother",
        "resources": {"requests": {"memory": "64Mi"}},
        "config": {"mempool": {"size": 77}, "consensus": {"double_sign_check_height": 0}, "statesync": STATE_SYNC},
        "app_config": {"pruning": "nothing"},
    }
    catalogue = [{"base_genesis": {"file": str(place.base_genesis)}}, other]
    result = place.converge("launch", consumer_id, interchain_catalogue=catalogue)
    place.owner._sequence += 1  # the assignment was signed for the same account
    assert result["launched"]["mode"] == "sign"
    assert "validator set change" in result["launched"]["reasons"][0]
    key = json.loads(secret(place, "keys", namespace)["priv_validator_key.json"])["pub_key"]["value"]
    assert key == held_key(place, consumer_id) != place.provider_key

    # The catalogue's entry of this consumer shows in all that was made.
    for kind, name, api_version in (("Job", "stage", "batch/v1"), ("StatefulSet", "node", "apps/v1")):
        made = place.get(kind, name, namespace, api_version)
        assert made is not None
        container = made["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == OTHER_IMAGE
        assert {"name": "NODE_BINARY", "value": "other-chaind"} in container["env"]
        assert container["resources"]["requests"] == {"memory": "64Mi"}
    assert config_of(place, consumer_id)["mempool"]["size"] == 77
    assert config_of(place, consumer_id)["statesync"] == STATE_SYNC
    genesis = place.get("ConfigMap", "genesis", namespace)
    assert genesis is not None
    bank = json.loads(genesis["data"]["genesis.json"])["app_state"]["bank"]
    assert [entry["address"].split("1")[0] for entry in bank["balances"]] == ["other"]
    assert bank["supply"] == [{"denom": "uother", "amount": "100000000"}]


def padded(place: Place) -> str:
    """Return a base genesis of more than one ConfigMap also when it is compressed: the description of a denom may be as long as it likes."""
    genesis = json.loads(place.base_genesis.read_text())
    noise = base64.b85encode(random.Random(5).randbytes(2_100_000)).decode()
    unit = {"denom": "stake", "exponent": 0, "aliases": []}
    words = {"name": "stake", "symbol": "STAKE", "display": "stake", "base": "stake", "uri": "", "uri_hash": ""}
    genesis["app_state"]["bank"]["denom_metadata"] = [{**words, "description": noise, "denom_units": [unit]}]
    return json.dumps(genesis)


def test_the_owners_genesis_takes_the_place_of_another_and_a_node_starts_from_its_parts(
    place: Place, tmp_path: Path
) -> None:
    consumer_id = place.create_consumer(spawn_in=3600, chain_id="padded-1")
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    place.opt_in(consumer_id)

    def job() -> dict[str, Any]:
        found = place.get("Job", "stage", namespace, "batch/v1")
        assert found is not None
        return found

    place.converge("stage", consumer_id)
    former, base = job(), GenesisStore(place.cluster, namespace, "base-genesis")
    assert base.read() == place.base_genesis.read_text()
    pod = Pod(place, consumer_id, tmp_path / "home")
    pod.stage()
    home = (tmp_path / "home").stat().st_ino

    # The owner names a file when the node is staged already.
    text, file = padded(place), tmp_path / "padded.json"
    file.write_text(text)
    stated = hashlib.sha256(text.encode())
    place.owner.name_genesis(consumer_id, stated.digest(), spawn_in=45)
    wait_for("the update", lambda: place.consumer(consumer_id).initialization.genesis_hash == stated.digest())
    refused = place.run("stage", consumer_id)
    assert refused.returncode != 0
    assert "name it in the catalogue" in refused.stdout
    assert stated.hexdigest() in refused.stdout
    catalogue = [
        {"base_genesis": {"file": str(file)}, "image": OTHER_IMAGE, "binary": "interchain-security-cdd"},
    ]
    place.converge("stage", consumer_id, interchain_catalogue=catalogue)
    assert base.read() == text
    # The other image is there by now, the other binary tells its base genesis, and the home stays.
    assert job()["metadata"]["uid"] != former["metadata"]["uid"]
    assert job()["spec"]["template"]["spec"]["containers"][0]["image"] == OTHER_IMAGE
    pod.log.unlink()
    pod.stage()
    assert "gov" in json.loads(pod.log.read_text())["app_state"]
    assert (tmp_path / "home").stat().st_ino == home
    assert not (tmp_path / "home.new").exists()

    # Somebody has put another one in its place, and there is nobody but the launch to see it.
    base.replace(place.base_genesis.read_text(), {}, {})
    catalogue[0]["binary"] = "interchain-security-cd"
    place.await_launch(consumer_id)
    assert place.converge("launch", consumer_id, interchain_catalogue=catalogue)["launched"]["mode"] == "sign"
    first = GenesisStore(place.cluster, namespace, "genesis").head()
    assert first is not None
    assert parts_of(first) == 3
    try:
        pod.start()
        wait_for("blocks", lambda: pod.height() >= 1, 90)
        assert "gov" not in json.loads((tmp_path / "home/config/genesis.json").read_text())["app_state"]
        (asked,) = json.loads(text)["app_state"]["bank"]["denom_metadata"]
        assert asked["description"] in (tmp_path / "home/config/genesis.json").read_text()
    finally:
        pod.kill()

    # Now nothing is replaced any more.
    names = (f"ConfigMap {namespace}/base-genesis", f"ConfigMap {namespace}/genesis", f"Job {namespace}/stage")
    before = place.versions(consumer_id)
    place.converge("stage", consumer_id, interchain_catalogue=[{"image": "registry.example/third:1"}])
    after = place.versions(consumer_id)
    assert {name: after[name] for name in names} == {name: before[name] for name in names}


def test_a_provider_node_that_lags_lets_nobody_sign_for_the_first_time(place: Place) -> None:
    """Its view may be of long ago: the chain has launched days ago then, and another cluster signs it."""
    consumer_id = place.create_consumer(spawn_in=25, chain_id="lagging-1")
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    with RpcProxy(place.node.url).serve() as lagging:
        lagging.lags = True
        with pytest.raises(ChainUnreachable, match="catching up; nothing was sent"):
            place.opt_in(consumer_id, url=lagging.url)
        place.opt_in(consumer_id)
        place.converge("stage", consumer_id)
        place.await_launch(consumer_id)
        alone = {"interchain_provider_rpc_url": [lagging.url], "consumer_watch_timeout": 0}
        launched = place.converge("launch", consumer_id, **alone)["launched"]
        assert (launched["mode"], launched["watching"]) == ("follow", True)
        assert "catching up, and the chain was never signed from here" in launched["reasons"][0]
        assert list(secret(place, "keys", namespace)) == ["node_key.json"]
        assert memory(place, consumer_id).get("taken_over_key") is None

        # What the operator says of one consumer is kept for it, and is no leave to sign without a look; of another one it says nothing.
        for named, kept in (("9999", None), (consumer_id, held_key(place, consumer_id))):
            launched = place.converge("launch", consumer_id, **alone, consumer_take_over_key=named)["launched"]
            assert (launched["mode"], launched["taken_over"]) == ("follow", kept is not None)
            assert memory(place, consumer_id).get("taken_over_key") == kept
        assert place.converge("launch", consumer_id, **alone)["launched"]["taken_over"]

        # Another endpoint that keeps up is asked instead, and a node that has signed goes on without one.
        both = {**alone, "interchain_provider_rpc_url": [lagging.url, place.node.url]}
        assert place.converge("launch", consumer_id, **both)["launched"]["mode"] == "sign"
        assert place.converge("launch", consumer_id, **alone)["launched"]["mode"] == "sign"


def rotate(place: Place, consumer_id: str) -> dict[str, Any]:
    """Give the chain another key of the validator on the provider."""
    done = run_operation(
        consumer_key_assignment,
        provider_rpc_url=[place.node.url],
        mnemonic=place.node.mnemonic,
        consumer_id=consumer_id,
        key_namespace=MONITOR,
        key_secret=f"consumer-{consumer_id}-key-2",
        rotate=True,
        kubeconfig=str(place.server.kubeconfig),
    )
    place.owner.count_on(done)
    return done


def test_a_key_that_is_replaced_between_launch_and_first_start_signs_first(place: Place) -> None:
    """The chain counts the key of its initial set; without that validator's votes it might never make a block."""
    consumer_id = place.create_consumer(spawn_in=4, chain_id="early-1")
    place.opt_in(consumer_id)
    place.await_launch(consumer_id)
    old = held_key(place, consumer_id)
    new = rotate(place, consumer_id)["consumer_public_key"]
    launched = place.converge("launch", consumer_id)["launched"]
    assert (launched["mode"], launched["consensus_public_key"]) == ("sign", old)
    assert "names another key" in launched["reasons"][0]

    name = {"name": f"consumer-{consumer_id}", "namespace": MONITOR}
    counting = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {"counting_key": new}}
    place.cluster.merge(counting)
    launched = place.converge("launch", consumer_id)["launched"]
    assert (launched["mode"], launched["consensus_public_key"]) == ("sign", new)
    place.converge("delete", consumer_id)


def test_a_key_that_is_replaced_signs_until_the_chain_counts_the_next_one(place: Place) -> None:
    consumer_id = place.create_consumer(spawn_in=14, chain_id="rotated-1")
    namespace, kept = f"{VALIDATOR}-consumer-{consumer_id}", f"consumer-{consumer_id}-key"
    place.opt_in(consumer_id)
    place.converge("stage", consumer_id)
    place.await_launch(consumer_id)
    place.converge("launch", consumer_id)
    old = held_key(place, consumer_id)

    def used() -> str:
        text = secret(place, "keys", namespace).get("priv_validator_key.json", "{}")
        return str(json.loads(text).get("pub_key", {}).get("value", ""))

    def template() -> str:
        found = place.get("StatefulSet", "node", namespace, "apps/v1")
        assert found is not None
        return json.dumps(found["spec"]["template"], sort_keys=True)

    before = template()
    rotation = rotate(place, consumer_id)
    new = rotation["consumer_public_key"]
    assert old == rotation["previous_consumer_public_key"] != new

    # The provider names the new key, and the chain counts the old one.
    result = place.converge("launch", consumer_id)
    assert result["launched"]["mode"] == "sign"
    assert "names another key" in result["launched"]["reasons"][0]
    assert (used(), template()) == (old, before)
    place.opt_in(consumer_id)  # both are kept here

    # The check has seen it in the chain's set.
    name = {"name": f"consumer-{consumer_id}", "namespace": MONITOR}
    counting = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {"counting_key": new}}
    place.cluster.merge(counting)
    result = place.converge("launch", consumer_id)
    assert result["launched"]["mode"] == "sign"
    assert used() == new
    assert template() != before  # it starts anew, on the same volume
    remembered = memory(place, consumer_id)
    assert (remembered["signing_key"], json.loads(remembered["retired_keys"])) == (new, [old])
    own = f"interchain-security/consumer-id={consumer_id}"
    leases = place.cluster.select("Lease", MONITOR, own, "coordination.k8s.io/v1")
    assert [lease["spec"]["holderIdentity"] for lease in leases] == [remembered["volume"]] * 2
    versions = place.versions(consumer_id)
    place.converge("launch", consumer_id)
    assert place.versions(consumer_id) == versions

    # Without the new one, the old one does not sign again.
    lost = place.get("Secret", f"{kept}-2", MONITOR)
    assert lost is not None
    place.cluster.delete("Secret", f"{kept}-2", MONITOR)
    result = place.converge("launch", consumer_id)
    assert result["launched"]["mode"] == "follow"
    assert any("what was replaced never signs again" in reason for reason in result["launched"]["reasons"])
    assert used() == ""
    metadata = {"name": f"{kept}-2", "namespace": MONITOR, "labels": lost["metadata"]["labels"]}
    place.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": lost["data"]})
    assert place.converge("launch", consumer_id)["launched"]["mode"] == "sign"
    assert used() == new

    place.converge("delete", consumer_id)
    keys = place.cluster.select("Secret", MONITOR, f"{own},interchain-security/archived=true", metadata_only=True)
    assert [entry["metadata"]["name"] for entry in keys] == [kept, f"{kept}-2"]


def test_another_binary_of_the_catalogue_runs_its_own_chain(place: Place, tmp_path: Path) -> None:
    """The democracy consumer has governance and staking of its own; its base genesis comes from its own init."""
    home = tmp_path / "init"
    program = place.program.with_name("interchain-security-cdd")
    subprocess.run([program, "init", "base", "--chain-id", "base", "--home", home], check=True, capture_output=True)
    consumer_id = place.create_consumer(spawn_in=14, chain_id="democracy-1")
    place.opt_in(consumer_id)
    entry = {
        "consumer_id": consumer_id,
        "binary": "interchain-security-cdd",
        "base_genesis": {"file": str(home / "config/genesis.json")},
    }
    catalogue = [{"base_genesis": {"file": str(place.base_genesis)}}, entry]
    place.converge("stage", consumer_id, interchain_catalogue=catalogue)
    place.await_launch(consumer_id)
    assert place.converge("launch", consumer_id, interchain_catalogue=catalogue)["launched"]["mode"] == "sign"
    pod = Pod(place, consumer_id, tmp_path / "home")
    try:
        pod.stage()
        pod.start()
        wait_for("blocks", lambda: pod.height() >= 3)
        keys = {entry["pub_key"]["value"] for entry in pod.rpc("validators")["validators"]}
        assert keys == {held_key(place, consumer_id)}
        assert {"gov", "staking"} <= set(pod.rpc("genesis")["genesis"]["app_state"])
    finally:
        pod.kill()

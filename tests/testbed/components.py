# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the node of the embedded cluster: configuration files and command lines, as pure values.

All of it runs in namespaces of the testbed (see node.py), so ports and the paths below /run and
/var/lib are its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from .network import Network

NODE_NAME = "testbed"
CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
HELPER_IMAGE = "docker.io/library/busybox:stable"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
API_PORT = 6443
MAX_PODS = 400


@dataclass(frozen=True)
class Programs:
    """Directories of the programs that were built."""

    kubernetes: str
    metallb: str
    kube_router: str
    addons: str


@dataclass(frozen=True)
class Component:
    """One process of the node; it is started when `needs` (host, port) accepts connections."""

    name: str
    command: list[str]
    needs: tuple[str, int] | None = None


@dataclass(frozen=True)
class Plan:
    """All that node.py must know to run one embedded cluster, kept as plan.json in `state`."""

    state: str
    octet: int
    programs: Programs

    @property
    def network(self) -> Network:
        return Network(self.octet)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @staticmethod
    def from_json(text: str) -> Plan:
        values = json.loads(text)
        return Plan(values["state"], values["octet"], Programs(**values["programs"]))


def server(network: Network) -> str:
    return f"https://{network.node_address}:{API_PORT}"


def configuration(plan: Plan) -> dict[str, str]:
    """Return the configuration files: path below the state directory -> content."""
    network = plan.network
    return {
        "config/containerd.toml": _containerd(plan),
        "config/cni/10-testbed.conflist": json.dumps(_cni(network), indent=2),
        "config/kubelet.yaml": yaml.safe_dump(_kubelet(plan)),
        "config/resolv.conf": f"nameserver {network.cluster_dns}\n",
        "config/Corefile": _corefile(plan),
        "config/local-path.json": json.dumps(local_path_config(plan)),
        "config/helper-pod.yaml": HELPER_POD,
    }


def components(plan: Plan) -> list[Component]:
    """Return the processes of the node in the order in which they are looked at."""
    network, state = plan.network, Path(plan.state)
    pki, config, kubeconfigs = state / "pki", state / "config", state / "kubeconfigs"
    kubernetes = Path(plan.programs.kubernetes)
    api = (network.node_address, API_PORT)
    return [
        Component(
            "etcd",
            [
                "etcd",
                "--name=testbed",
                "--data-dir=/run/etcd",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--initial-advertise-peer-urls=http://127.0.0.1:2380",
                "--initial-cluster=testbed=http://127.0.0.1:2380",
            ],
        ),
        Component("containerd", ["containerd", f"--config={config}/containerd.toml"]),
        Component(
            "kube-apiserver",
            [
                f"{kubernetes}/kube-apiserver",
                "--etcd-servers=http://127.0.0.1:2379",
                f"--advertise-address={network.node_address}",
                f"--secure-port={API_PORT}",
                "--allow-privileged=true",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                f"--service-cluster-ip-range={network.services}",
                f"--client-ca-file={pki}/ca.crt",
                f"--tls-cert-file={pki}/kube-apiserver.crt",
                f"--tls-private-key-file={pki}/kube-apiserver.key",
                f"--kubelet-client-certificate={pki}/kubelet-client.crt",
                f"--kubelet-client-key={pki}/kubelet-client.key",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
                f"--service-account-key-file={pki}/service-accounts.pub",
                f"--service-account-signing-key-file={pki}/service-accounts.key",
            ],
            needs=("127.0.0.1", 2379),
        ),
        Component(
            "kube-controller-manager",
            [
                f"{kubernetes}/kube-controller-manager",
                f"--kubeconfig={kubeconfigs}/kube-controller-manager",
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                f"--root-ca-file={pki}/ca.crt",
                f"--service-account-private-key-file={pki}/service-accounts.key",
            ],
            needs=api,
        ),
        Component(
            "kube-scheduler",
            [
                f"{kubernetes}/kube-scheduler",
                f"--kubeconfig={kubeconfigs}/kube-scheduler",
                "--bind-address=127.0.0.1",
                "--leader-elect=false",
            ],
            needs=api,
        ),
        Component(
            "kubelet",
            [
                f"{kubernetes}/kubelet",
                f"--config={config}/kubelet.yaml",
                f"--kubeconfig={kubeconfigs}/kubelet",
                f"--hostname-override={NODE_NAME}",
                f"--node-ip={network.node_address}",
            ],
            needs=api,
        ),
        Component(
            "kube-proxy",
            [
                f"{kubernetes}/kube-proxy",
                f"--kubeconfig={kubeconfigs}/kube-proxy",
                "--proxy-mode=iptables",
                f"--cluster-cidr={network.pods}",
                f"--hostname-override={NODE_NAME}",
                "--conntrack-max-per-core=0",
            ],
            needs=api,
        ),
        Component(
            "kube-router",
            [
                f"{plan.programs.kube_router}/kube-router",
                f"--kubeconfig={kubeconfigs}/admin",
                f"--hostname-override={NODE_NAME}",
                # Of all that it can do, it enforces network policies.
                "--run-firewall=true",
                "--run-router=false",
                "--run-service-proxy=false",
                f"--service-cluster-ip-range={network.services}",
                "--health-port=0",
            ],
            needs=api,
        ),
        Component("coredns", [f"{plan.programs.addons}/coredns", f"-conf={config}/Corefile"], needs=api),
        Component(
            "local-path-provisioner",
            [
                f"{plan.programs.addons}/local-path-provisioner",
                "start",
                f"--kubeconfig={kubeconfigs}/admin",
                f"--config={config}/local-path.json",
                f"--helper-pod-file={config}/helper-pod.yaml",
                f"--helper-image={HELPER_IMAGE}",
                "--namespace=local-path-storage",
                "--configmap-name=local-path-config",
                "--service-account-name=default",
            ],
            needs=api,
        ),
        Component(
            "metallb-controller",
            [
                f"{plan.programs.metallb}/controller",
                f"--kubeconfig={kubeconfigs}/admin",
                "--namespace=metallb-system",
                "--webhook-mode=disabled",
                "--disable-cert-rotation",
            ],
            needs=api,
        ),
    ]


def _containerd(plan: Plan) -> str:
    return f"""\
version = 2
root = "{plan.state}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{plan.state}/config/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def _cni(network: Network) -> dict[str, object]:
    return {
        "cniVersion": "0.4.0",
        "name": "testbed",
        "plugins": [
            {
                # Every packet of a pod is routed, so that the rules of kube-proxy see it.
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": network.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(plan: Plan) -> dict[str, object]:
    network = plan.network
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{plan.state}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{network.name}",
        "clusterDNS": [network.cluster_dns],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "enforceNodeAllocatable": [],
        # Images come from this machine only: none may be removed because the disk is full.
        "evictionHard": {"memory.available": "100Mi"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "maxPods": MAX_PODS,
        "resolvConf": f"{plan.state}/config/resolv.conf",
    }


def _corefile(plan: Plan) -> str:
    return f"""\
.:53 {{
    bind {plan.network.node_address}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {plan.state}/kubeconfigs/admin
        ttl 5
    }}
    cache 5
}}
"""


def local_path_config(plan: Plan) -> dict[str, object]:
    return {
        "nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [f"{plan.state}/volumes"]}],
    }


HELPER_POD = f"""\
apiVersion: v1
kind: Pod
metadata:
  name: helper-pod
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: helper-pod
      image: {HELPER_IMAGE}
      imagePullPolicy: IfNotPresent
"""

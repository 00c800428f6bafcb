# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests and commands do with the cluster, whichever it is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from . import cache, images, network
from .choice import Choice, Source, choose, look_around
from .embedded import Embedded, state_directory
from .errors import TestbedError
from .images import ImageFile
from .kind import Kind
from .parts import PARTS, require_packages
from .progress import say

# Each uses all processors while it compiles, but one alone while it links.
BUILDS_AT_ONCE = 2
NOT_UP = "no cluster is up; run `make testbed`"


def _embedded() -> Embedded:
    return Embedded(state_directory())


def _kind() -> Kind | None:
    """Return kind's cluster, which may not exist, or None when this machine has no kind."""
    found = look_around(_embedded().kubeconfig, embedded_runs=False)
    if found.docker_answers and shutil.which("kind") is not None:
        return Kind(state_directory())
    return None


def _choice() -> Choice:
    embedded = _embedded()
    return choose(look_around(embedded.kubeconfig, embedded_runs=embedded.holder is not None))


def build() -> list[ImageFile]:
    """Build everything of the embedded cluster that is not in the cache yet; return its images."""
    started = time.monotonic()
    require_packages()
    # The monitor's image needs none of the parts.
    _side_by_side([*(part.ensure for part in PARTS), images.monitor])
    built = [images.pause(), images.busybox(), images.chain(), images.hermes(), images.monitor()]
    say(f"everything is built ({time.monotonic() - started:.0f} s), in {cache.root()}")
    return built


def _side_by_side(builds: Sequence[Callable[[], object]]) -> None:
    """Run `builds` in their order, some at a time; after a failure none is begun any more."""
    with ThreadPoolExecutor(max_workers=BUILDS_AT_ONCE) as pool:
        begun = [pool.submit(build) for build in builds]
        try:
            for done in as_completed(begun):
                done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def up() -> None:
    """Choose a cluster, say which and why, and bring it up; repeatable."""
    choice = _choice()
    say(f"cluster: {choice.source.value}, because {choice.reason}")
    if choice.source is Source.KIND:
        Kind(state_directory()).up()
    elif choice.source is Source.EMBEDDED:
        built = build()
        started = time.monotonic()
        _embedded().up(built)
        say(f"the embedded cluster can be used after {time.monotonic() - started:.0f} s")


def down() -> None:
    """Remove the cluster and all that belongs to it; a cluster given by KUBECONFIG is left alone."""
    kind = _kind()
    if kind is not None:
        kind.down()
    _embedded().down()
    say("the testbed is down and has left nothing behind")


def status() -> list[str]:
    """Return what is up, one line per fact."""
    choice = _choice()
    lines = [f"cluster: {choice.source.value}, because {choice.reason}"]
    kind = _kind()
    return [*lines, *(kind.status() if kind is not None else []), *_embedded().status()]


def kubeconfig() -> Path:
    """Return the kubeconfig of the cluster in use."""
    if _choice().source is Source.GIVEN:
        return Path(os.environ["KUBECONFIG"])
    own = _embedded().kubeconfig
    if not own.exists():
        raise TestbedError(NOT_UP)
    return own


def addresses() -> list[str]:
    """Return the addresses that services of type LoadBalancer can ask for, in their order."""
    choice = _choice()
    if choice.source is Source.GIVEN:
        given = os.environ.get("INTERCHAIN_ADDRESSES", "").split(",")
        if given == [""]:
            raise TestbedError(
                "set INTERCHAIN_ADDRESSES to load balancer addresses of the cluster of KUBECONFIG, e.g. a,b,c"
            )
        return given
    if choice.source is Source.KIND:
        return network.addresses(Kind(state_directory()).load_balancers())
    embedded = _embedded()
    if embedded.holder is None:
        raise TestbedError(NOT_UP)
    return network.addresses(embedded.plan.network.load_balancers)


def load_image() -> None:
    """Give the monitor's image with the present code to the cluster; nothing when it has it."""
    choice = _choice()
    if choice.source is Source.GIVEN:
        raise TestbedError(f"push {images.monitor_image()} to the registry that the cluster of KUBECONFIG reads")
    if choice.source is Source.KIND:
        Kind(state_directory()).load_monitor()
        return
    embedded = _embedded()
    if embedded.holder is None:
        raise TestbedError(NOT_UP)
    embedded.load(images.monitor())
    say(f"the cluster has {images.monitor_image()} with the code as it is now")


def tag_monitor_image(tag: str) -> str:
    """Give the monitor's image of the embedded cluster one more tag, as a newer release has one; return the whole name."""
    if _choice().source is not Source.EMBEDDED:
        raise TestbedError("only the embedded cluster's images get more names")
    name = images.monitor_image()
    another = f"{name.rpartition(':')[0]}:{tag}"
    _embedded().tag(name, another)
    return another

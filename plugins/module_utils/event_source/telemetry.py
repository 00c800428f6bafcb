# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the event source tells of itself: figures for Prometheus, and answers to the probes of Kubernetes.

The HTTP server has a thread of its own. A blocked event loop is thus seen as a work loop that does not beat, with the
reason in the answer, and not as a probe that times out.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import os
import threading
import time
import wsgiref.simple_server
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, ParamSpec

from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError
from ansible_collections.interchain.security.plugins.module_utils.supervisor import (
    LAST_END_VARIABLE,
    RESTARTS_VARIABLE,
)

try:
    import prometheus_client

    HAS_PROMETHEUS = True
except ImportError:  # told when a Telemetry is made
    HAS_PROMETHEUS = False

logger = logging.getLogger("interchain.security.telemetry")

HEALTH_TIMEOUT = 60.0  # seconds without a beat of the work loop
READY_LAG_BLOCKS = 50  # blocks that the work may be behind the tip
READY_LAG_SECONDS = 300.0  # age of the last block worked through
REQUEST_TIMEOUT = 5.0  # seconds that a client of the server may take
LABEL_LIMIT = 500  # different values of one label; further ones are counted together
OTHER = "other"
# While one of these holds, the source acts on nothing.
STOPPING_ALARMS = frozenset({"wrong_chain", "fork", "no_endpoint", "state_conflict"})

Parameters = ParamSpec("Parameters")


def _never_raises(method: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """A figure that cannot be noted is logged; it never disturbs the work."""

    @functools.wraps(method)
    def noted(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception:
            logger.exception("%s could not be noted", method.__name__)

    return noted


class Telemetry:
    """The state of one event source. Every method is cheap and never raises.

    ``clock`` gives seconds that only grow, ``wall`` seconds since 1970.
    """

    def __init__(
        self,
        registry: prometheus_client.CollectorRegistry | None = None,
        *,
        health_timeout: float = HEALTH_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not HAS_PROMETHEUS:
            raise InterchainError(
                "the Python package prometheus-client is missing: install what requirements.txt names"
            )
        self.registry = registry if registry is not None else prometheus_client.CollectorRegistry()
        self._health_timeout = health_timeout
        self._clock, self._wall = clock, wall
        self._beat_at = clock()
        self._is_ready, self._not_ready_reason = False, "the first reading of all consumers is not complete"
        self._worked_height = self._tip_height = 0
        self._block_time: float | None = None  # seconds since 1970, of the last block worked through
        self._active_alarms: set[str] = set()
        self._endpoint = ""
        self._label_values: dict[str, set[str]] = {}
        self._make_figures()
        self._note_restarts(os.environ if environment is None else environment)

    def _make_figures(self) -> None:
        def gauge(name: str, text: str, labels: Iterable[str] = ()) -> prometheus_client.Gauge:
            return prometheus_client.Gauge(f"interchain_{name}", text, labels, registry=self.registry)

        def counter(name: str, text: str, labels: Iterable[str] = ()) -> prometheus_client.Counter:
            return prometheus_client.Counter(f"interchain_{name}", text, labels, registry=self.registry)

        gauge("height", "Last provider block that was worked through").set_function(lambda: self._worked_height)
        gauge("tip_height", "Highest provider block that an endpoint told of").set_function(lambda: self._tip_height)
        gauge("lag_blocks", "Blocks between the two").set_function(self._lag_blocks)
        gauge("lag_seconds", "Age of the last block that was worked through; NaN before the first").set_function(
            self._lag_seconds
        )
        gauge("ready", "1 while the source follows the right chain closely").set_function(
            lambda: float(not self.not_ready_reason())
        )
        gauge("seconds_since_beat", "Seconds since the work loop was seen alive").set_function(
            lambda: self._clock() - self._beat_at
        )
        self._endpoint_info = gauge("endpoint_info", "Endpoint in use", ["endpoint"])
        self._reconnects = counter("reconnects", "Endpoints or sockets left, by reason", ["reason"])
        self._filled = counter("filled_blocks", "Blocks that were worked through after an interruption")
        self._events = counter("events", "Events sent, by type", ["type"])
        self._queue_depth = gauge("queue_depth", "Events that wait to be sent")
        self._outstanding = gauge("outstanding_events", "Events sent whose playbook has not said done")
        self._reconcile = prometheus_client.Summary(
            "interchain_reconcile_seconds", "Seconds that a reading of all consumers took", registry=self.registry
        )
        self._consumers = gauge("consumers", "Consumers of the provider, by phase", ["phase"])
        self._requests = counter("requests", "Requests to provider nodes")
        self._failed = counter("actions_failed", "Playbooks that failed, by consumer", ["consumer_id"])
        self._timed_out = counter("actions_timed_out", "Playbooks that gave no receipt in time", ["consumer_id"])
        self._alarms = gauge("alarm", "1 while an alarm holds, by kind", ["kind"])
        self._restarts = gauge("monitor_restarts", "Times that the supervisor started the rule engine again")
        self._last_end = gauge("monitor_last_end_info", "Why the rule engine ended last", ["reason"])
        prometheus_client.ProcessCollector(namespace="interchain", registry=self.registry)

    def _note_restarts(self, environment: Mapping[str, str]) -> None:
        count = environment.get(RESTARTS_VARIABLE, "0")
        self._restarts.set(int(count) if count.isdigit() else 0)
        if reason := environment.get(LAST_END_VARIABLE):
            self._last_end.labels(reason[:200]).set(1)

    def _bounded(self, name: str, value: str) -> str:
        """The value as a label, or ``other`` once there are too many different ones."""
        known = self._label_values.setdefault(name, set())
        if value in known:
            return value
        if len(known) >= LABEL_LIMIT:
            return OTHER
        known.add(value)
        return value

    # -- what the source tells -------------------------------------------------------------------------------------------

    @_never_raises
    def worked(self, height: int, block_time: datetime) -> None:
        """A block was worked through; what it called for is on its way."""
        self._worked_height = height
        self._tip_height = max(self._tip_height, height)
        self._block_time = block_time.timestamp()
        self.beat()

    @_never_raises
    def tip(self, height: int) -> None:
        """An endpoint told of a block."""
        self._tip_height = max(self._tip_height, height)

    @_never_raises
    def endpoint(self, label: str) -> None:
        """Another endpoint is in use; label is its host:port."""
        self._endpoint_info.clear()
        self._endpoint_info.labels(label).set(1)
        self._endpoint = label

    @_never_raises
    def reconnected(self, reason: str) -> None:
        """An endpoint or its socket was left; reason is one of a few short texts."""
        self._reconnects.labels(self._bounded("reason", reason[:80])).inc()

    @_never_raises
    def filled(self, blocks: int) -> None:
        """So many blocks were made up for."""
        self._filled.inc(blocks)

    @_never_raises
    def sent(self, event_type: str) -> None:
        """An event was taken by the rule engine."""
        self._events.labels(self._bounded("type", event_type)).inc()

    @_never_raises
    def queue_depth(self, n: int) -> None:
        """So many events wait in the buffer."""
        self._queue_depth.set(n)

    @_never_raises
    def outstanding(self, n: int) -> None:
        """So many events were sent and have no receipt that says done."""
        self._outstanding.set(n)

    @_never_raises
    def reconciled(self, seconds: float) -> None:
        """A reading of all consumers was complete after so many seconds."""
        self._reconcile.observe(seconds)

    @_never_raises
    def consumers(self, counts: Mapping[str, int]) -> None:
        """So many consumers are in each phase; a phase that is not named has none."""
        self._consumers.clear()
        for phase, count in counts.items():
            self._consumers.labels(self._bounded("phase", phase)).set(count)

    @_never_raises
    def requests(self, n: int) -> None:
        """So many more requests were sent to provider nodes."""
        self._requests.inc(n)

    @_never_raises
    def action_failed(self, consumer_id: str) -> None:
        """A playbook's receipt says failed."""
        self._failed.labels(self._bounded("consumer_id", consumer_id)).inc()

    @_never_raises
    def action_timed_out(self, consumer_id: str) -> None:
        """No receipt of a playbook came in time."""
        self._timed_out.labels(self._bounded("consumer_id", consumer_id)).inc()

    @_never_raises
    def alarm(self, kind: str, active: bool) -> None:
        """An alarm begins or ends."""
        self._alarms.labels(self._bounded("kind", kind)).set(int(active))
        if active:
            self._active_alarms.add(kind)
        else:
            self._active_alarms.discard(kind)

    @_never_raises
    def beat(self) -> None:
        """The work loop is alive."""
        self._beat_at = self._clock()

    @_never_raises
    def ready(self, is_ready: bool, reason: str) -> None:
        """The source follows the chain, or does not for that reason."""
        self._is_ready, self._not_ready_reason = is_ready, reason

    # -- what is made of it ----------------------------------------------------------------------------------------------

    def _lag_blocks(self) -> int:
        return max(self._tip_height - self._worked_height, 0) if self._worked_height else self._tip_height

    def _lag_seconds(self) -> float:
        return math.nan if self._block_time is None else max(self._wall() - self._block_time, 0.0)

    def unhealthy_reason(self) -> str:
        """Why the process should be started again; empty when it is well."""
        silent = self._clock() - self._beat_at
        return f"the work loop has not been seen for {silent:.0f} s" if silent > self._health_timeout else ""

    def not_ready_reason(self) -> str:
        """Why the source does not follow the right chain closely; empty when it does."""
        if unhealthy := self.unhealthy_reason():
            return unhealthy
        alarms = sorted(self._active_alarms & STOPPING_ALARMS)
        if alarms:
            detail = "" if self._is_ready or not self._not_ready_reason else f": {self._not_ready_reason}"
            return f"alarm {', '.join(alarms)}{detail}"
        if not self._is_ready:
            return self._not_ready_reason or "no reason was given"
        if self._lag_blocks() > READY_LAG_BLOCKS:
            return f"{self._lag_blocks()} blocks behind the tip {self._tip_height}"
        if self._lag_seconds() > READY_LAG_SECONDS:
            return f"block {self._worked_height}, the last one, is {self._lag_seconds():.0f} s old"
        return ""


# -- the server -----------------------------------------------------------------------------------------------------------


class _Server(ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without looking the address up: HTTPServer asks the resolver for a name that nobody needs."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Handler(wsgiref.simple_server.WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds and are no news."""


def application(telemetry: Telemetry) -> Callable[..., Iterable[bytes]]:
    """The WSGI application: /healthz, /readyz and /metrics."""
    metrics = prometheus_client.make_wsgi_app(telemetry.registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            page: Iterable[bytes] = metrics(environ, start_response)
            return page
        if path == "/healthz":
            reason = telemetry.unhealthy_reason()
        elif path == "/readyz":
            reason = telemetry.not_ready_reason()
        else:
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"there are /healthz, /readyz and /metrics\n"]
        status = "503 Service Unavailable" if reason else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
        return [f"{reason or 'ok'}\n".encode()]

    return answer


@asynccontextmanager
async def serve(telemetry: Telemetry, host: str, port: int) -> AsyncIterator[None]:
    """Answer on host and port while the context is open; nothing is served on port 0.

    Raises ValueError naming the option when that address cannot be listened on.
    """
    if port == 0:
        yield
        return
    try:
        server = wsgiref.simple_server.make_server(host, port, application(telemetry), _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise ValueError(f"metrics_port: cannot listen on {host}:{port}: {error}") from error
    thread = threading.Thread(target=server.serve_forever, name="telemetry", daemon=True)
    thread.start()
    logger.info("/healthz, /readyz and /metrics are on http://%s:%d", host, port)
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures and probes of the event source, asked over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.interchain.security.plugins.module_utils.event_source import telemetry as subject
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry, serve

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    """Both clocks of a Telemetry, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return NOW.timestamp() + self.seconds - 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry(clock: Clock) -> Telemetry:
    return Telemetry(clock=clock, wall=clock.wall, environment={})


def figures(telemetry: Telemetry) -> dict[str, float]:
    """All samples as ``name`` or ``name{label=value}``."""
    found = {}
    for family in text_string_to_metric_families(
        subject.prometheus_client.generate_latest(telemetry.registry).decode()
    ):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def following(telemetry: Telemetry) -> None:
    telemetry.worked(10, NOW)
    telemetry.ready(True, "")


def test_every_figure_begins_with_the_same_word(telemetry: Telemetry) -> None:
    following(telemetry)
    names = {name.partition("{")[0] for name in figures(telemetry)}
    assert names
    assert all(name.startswith("interchain_") for name in names)


def test_what_is_told_is_counted(telemetry: Telemetry) -> None:
    telemetry.tip(15)
    telemetry.worked(12, NOW - timedelta(seconds=4))
    telemetry.endpoint("node-0:26657")
    telemetry.endpoint("node-1:26657")
    telemetry.reconnected("silent socket")
    telemetry.filled(7)
    telemetry.sent("phase_changed")
    telemetry.sent("phase_changed")
    telemetry.queue_depth(3)
    telemetry.outstanding(2)
    telemetry.reconciled(0.5)
    telemetry.consumers({"launched": 4, "stopped": 1})
    telemetry.consumers({"launched": 5})
    telemetry.requests(9)
    telemetry.action_failed("7")
    telemetry.action_timed_out("7")
    telemetry.alarm("fork", True)
    found = figures(telemetry)
    expected = {
        "interchain_tip_height": 15,
        "interchain_height": 12,
        "interchain_lag_blocks": 3,
        "interchain_lag_seconds": 4,
        "interchain_endpoint_info{endpoint=node-1:26657}": 1,
        "interchain_reconnects_total{reason=silent socket}": 1,
        "interchain_filled_blocks_total": 7,
        "interchain_events_total{type=phase_changed}": 2,
        "interchain_queue_depth": 3,
        "interchain_outstanding_events": 2,
        "interchain_reconcile_seconds_count": 1,
        "interchain_reconcile_seconds_sum": 0.5,
        "interchain_consumers{phase=launched}": 5,
        "interchain_requests_total": 9,
        "interchain_actions_failed_total{consumer_id=7}": 1,
        "interchain_actions_timed_out_total{consumer_id=7}": 1,
        "interchain_alarm{kind=fork}": 1,
        "interchain_ready": 0,
        "interchain_monitor_restarts": 0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert "interchain_endpoint_info{endpoint=node-0:26657}" not in found
    assert "interchain_consumers{phase=stopped}" not in found


def test_restarts_come_from_the_supervisor() -> None:
    environment = {
        "INTERCHAIN_MONITOR_RESTARTS": "3",
        "INTERCHAIN_MONITOR_LAST_END": "ended by SIGKILL",
    }
    found = figures(Telemetry(environment=environment))
    assert found["interchain_monitor_restarts"] == 3
    assert found["interchain_monitor_last_end_info{reason=ended by SIGKILL}"] == 1


def test_the_number_of_label_values_is_bounded(telemetry: Telemetry) -> None:
    for number in range(subject.LABEL_LIMIT + 20):
        telemetry.action_failed(str(number))
    series = [name for name in figures(telemetry) if name.startswith("interchain_actions_failed_total")]
    assert len(series) == subject.LABEL_LIMIT + 1
    assert figures(telemetry)["interchain_actions_failed_total{consumer_id=other}"] == 20


def test_a_figure_of_the_wrong_type_disturbs_nothing(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    telemetry.queue_depth("many")  # type: ignore[arg-type]
    assert "queue_depth could not be noted" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(following, "", id="following"),
        pytest.param(lambda _told: None, "first reading", id="not begun"),
        pytest.param(
            lambda told: told.ready(False, "node-0:26657 catches up"), "node-0:26657 catches up", id="told so"
        ),
        pytest.param(lambda told: (following(told), told.alarm("fork", True)), "alarm fork", id="another chain"),
        pytest.param(
            lambda told: (following(told), told.alarm("block_unreadable", True)), "", id="an alarm that stops nothing"
        ),
        pytest.param(
            lambda told: (following(told), told.alarm("fork", True), told.alarm("fork", False)), "", id="alarm over"
        ),
        pytest.param(lambda told: (following(told), told.tip(61)), "51 blocks behind the tip 61", id="far behind"),
        pytest.param(lambda told: (following(told), told.tip(60)), "", id="not so far behind"),
        pytest.param(
            lambda told: (following(told), told.worked(11, NOW - timedelta(seconds=400))),
            "is 400 s old",
            id="old block",
        ),
    ],
)
def test_ready(telemetry: Telemetry, change: Callable[[Telemetry], object], reason: str) -> None:
    change(telemetry)
    assert (reason in telemetry.not_ready_reason()) if reason else telemetry.not_ready_reason() == ""


def test_health_is_the_beat_of_the_work_loop(telemetry: Telemetry, clock: Clock) -> None:
    following(telemetry)
    clock.seconds += 60
    assert telemetry.unhealthy_reason() == ""
    clock.seconds += 1
    assert "not been seen for 61 s" in telemetry.unhealthy_reason()
    assert telemetry.not_ready_reason() == telemetry.unhealthy_reason()
    telemetry.beat()
    assert telemetry.unhealthy_reason() == ""


async def test_the_server_answers_and_ends(telemetry: Telemetry, clock: Clock) -> None:
    port = free_port()
    async with serve(telemetry, "127.0.0.1", port):
        assert await asyncio.to_thread(get, port, "/healthz") == (200, "ok\n")
        status, body = await asyncio.to_thread(get, port, "/readyz")
        assert status == 503
        assert "first reading" in body
        following(telemetry)
        assert await asyncio.to_thread(get, port, "/readyz") == (200, "ok\n")
        clock.seconds += 100
        assert (await asyncio.to_thread(get, port, "/healthz"))[0] == 503
        status, body = await asyncio.to_thread(get, port, "/metrics")
        assert status == 200
        assert "interchain_height 10.0" in body
        assert (await asyncio.to_thread(get, port, "/"))[0] == 404
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(get, port, "/healthz")


async def test_the_server_answers_while_the_event_loop_is_blocked(telemetry: Telemetry) -> None:
    port = free_port()
    async with serve(telemetry, "127.0.0.1", port):
        assert get(port, "/healthz") == (200, "ok\n")  # blocks the loop of this very test


async def test_port_0_serves_nothing(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject.wsgiref.simple_server, "make_server", lambda *_args: pytest.fail("it listens"))
    async with serve(telemetry, "127.0.0.1", 0):
        pass


@pytest.mark.parametrize("port", [0, 70000])
async def test_an_address_in_use_is_told_with_the_option(telemetry: Telemetry, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ValueError, match="metrics_port: cannot listen on"):
            async with serve(telemetry, "127.0.0.1", port or taken.getsockname()[1]):
                pass

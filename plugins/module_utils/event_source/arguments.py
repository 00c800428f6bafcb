# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source's options, checked before anything is done."""

from __future__ import annotations

import base64
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import checked_url
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

LARGEST_COUNT = 1000


@dataclass(frozen=True)
class Arguments:
    """The source's options, checked. Times are in seconds. URLs hold no user name or password."""

    provider_rpc_url: tuple[str, ...]
    provider_chain_id: str | None = None
    state_directory: str | None = None
    state_namespace: str | None = None
    kubeconfig: str | None = None
    request_timeout: float = 10.0
    sync_interval: float = 30.0
    poll_interval: float = 2.0
    silence_timeout: float = 30.0
    spawn_notice: float = 20.0
    action_timeout: float = 900.0
    check_interval: float = 60.0
    max_outstanding: int = 8
    confirm_endpoints: int = 1
    ca_file: str | None = None
    username: str | None = None
    password: str | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0

    def __repr__(self) -> str:
        # The password must not get into a log by way of an error.
        return f"Arguments({', '.join(self.provider_rpc_url)})"

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> Arguments:
        """Check what a rulebook gives; values from its variables arrive as text. ValueError names the option."""
        known = {field.name: field for field in fields(cls)}
        # ansible-rulebook adds arguments of its own, all named eda_*, and takes feedback for itself.
        unknown = sorted(
            str(name) for name in args if name not in known and name != "feedback" and not str(name).startswith("eda_")
        )
        if unknown:
            raise ValueError(
                f"{unknown[0]}: not an option of interchain.security.ccv; its options are {', '.join(sorted(known))}"
            )
        given = {name: value for name, value in args.items() if name in known and value not in (None, "")}
        values: dict[str, Any] = {"provider_rpc_url": _urls(given.pop("provider_rpc_url", None))}
        for name, value in given.items():
            kind = str(known[name].type)
            if kind == "float":
                values[name] = _seconds(name, value, zero=name == "check_interval")
            elif kind == "int":
                lowest, highest = (0, 65535) if name == "metrics_port" else (1, LARGEST_COUNT)
                values[name] = _count(name, value, lowest, highest)
            else:
                values[name] = _text(name, value)
        made = cls(**values)
        made.tls_context()
        if made.confirm_endpoints > len(made.provider_rpc_url):
            raise ValueError(
                f"confirm_endpoints: {made.confirm_endpoints} endpoints cannot agree, provider_rpc_url has only "
                f"{len(made.provider_rpc_url)}"
            )
        if (made.username is None) != (made.password is None):
            missing, other = ("username", "password") if made.username is None else ("password", "username")
            raise ValueError(f"{missing}: it is needed together with {other}")
        return made

    def authorization(self) -> dict[str, str]:
        """The headers of HTTP basic authentication; none without a user name."""
        if self.username is None:
            return {}
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def tls_context(self) -> ssl.SSLContext:
        """The certificates that are trusted: those of ca_file, otherwise those of the system."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise ValueError(f"ca_file: {self.ca_file} cannot be read as certificates in PEM form: {error}") from error


def _urls(value: object) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)) or not entries or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("provider_rpc_url: give the RPC address of a provider node, or a list of them")
    try:
        found = tuple(dict.fromkeys(checked_url(entry) for entry in entries))
        parts = [urlsplit(url) for url in found]
        if any(not part.hostname or part.port == 0 for part in parts):
            raise InvalidInput("not an RPC address: it names no host")
    except (InvalidInput, ValueError) as error:
        raise ValueError(f"provider_rpc_url: {error}") from error
    if any(part.username or part.password for part in parts):
        raise ValueError("provider_rpc_url: give a user name and password by the options username and password")
    return found


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: it is not a text" if name == "password" else f"{name}: {value!r} is not a text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("not a number")
    return float(value)


def _seconds(name: str, value: object, *, zero: bool = False) -> float:
    try:
        seconds = _number(value)
        if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not zero):
            raise ValueError("out of bounds")
    except ValueError as error:
        raise ValueError(
            f"{name}: {value!r} is not a number of seconds {'from 0 on' if zero else 'above 0'}"
        ) from error
    return seconds


def _count(name: str, value: object, lowest: int, highest: int) -> int:
    try:
        number = _number(value)
        if not (number.is_integer() and lowest <= number <= highest):
            raise ValueError("out of bounds")
    except ValueError as error:
        raise ValueError(f"{name}: {value!r} is not a whole number from {lowest} to {highest}") from error
    return int(number)


def endpoint_label(url: str) -> str:
    """Host and port of a URL, for logs and figures."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = unquote(parts.hostname or "")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

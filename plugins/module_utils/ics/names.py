# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of Kubernetes objects. They come from the validator's own name and the consumer_id, never from a stranger's text."""

from __future__ import annotations

import re

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

VALIDATOR_NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
# Of what a cluster holds of a consumer.
ID_LABEL = "interchain-security/consumer-id"
CONSUMER_ID = re.compile(r"0|[1-9][0-9]{0,19}")


def checked_consumer_id(text: str) -> str:
    """Return ``text`` when it is a consumer_id (a uint64 in decimal), else raise InvalidInput."""
    if not CONSUMER_ID.fullmatch(text) or int(text) >= 2**64:
        raise InvalidInput(f"consumer_id must be a decimal number such as 0 or 17, not {text[:40]!r}")
    return text


def checked_validator_name(text: str) -> str:
    """Return ``text`` when namespaces can be named after it (DNS label, at most 20 characters), else raise InvalidInput."""
    if not VALIDATOR_NAME.fullmatch(text):
        raise InvalidInput(f"the validator's name must be a DNS label of at most 20 characters, not {text[:40]!r}")
    return text


def consumer_namespace(validator: str, consumer_id: str) -> str:
    """Return the namespace of one validator's node of one consumer."""
    return f"{checked_validator_name(validator)}-consumer-{checked_consumer_id(consumer_id)}"

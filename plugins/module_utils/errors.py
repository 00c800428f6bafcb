# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors of this collection: one small tree, each message a sentence that says what failed and what to do."""

from __future__ import annotations


class InterchainError(Exception):
    """Anything that this collection reports to its user."""


class InvalidInput(InterchainError):
    """A value given by the user, or read from a file of theirs, cannot be used."""


class ChainUnreachable(InterchainError):
    """No endpoint of the chain gave an answer."""


class WrongChain(InterchainError):
    """An endpoint belongs to another chain than the configured one."""


class QueryFailed(InterchainError):
    """The chain answered a query with an error."""


class HeightNotAvailable(QueryFailed):
    """The node no longer has the state or the results of a height."""


class HeightInFuture(QueryFailed):
    """The node does not have the state of a height yet."""


class ConsumerNotFound(QueryFailed):
    """The provider knows no consumer of that consumer_id."""


class WrongPhase(InterchainError):
    """The consumer is in a phase in which the action is not possible."""


class TransactionFailed(InterchainError):
    """A transaction was refused or failed; it had no effect besides its fee."""

    def __init__(self, message: str, *, code: int = 0, codespace: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.codespace = codespace


class TransactionNotConfirmed(InterchainError):
    """A transaction was in no block when its timeout height had passed: it cannot have an effect any more."""


class KeyStoreError(InterchainError):
    """A key could not be stored or read."""

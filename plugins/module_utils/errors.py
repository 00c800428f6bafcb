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
    """The chain answered a query with an error; ``code`` and ``codespace`` are the application's, when it gave any."""

    code = 0
    codespace = ""


class HeightNotAvailable(QueryFailed):
    """The node no longer has the state or the results of a height."""


class HeightInFuture(QueryFailed):
    """The node does not have the state of a height yet."""


class ConsumerNotFound(QueryFailed):
    """The provider knows no consumer of that consumer_id."""


class WrongPhase(InterchainError):
    """The consumer is in a phase in which the action is not possible."""


class TransactionFailed(InterchainError):
    """A transaction was refused (``height`` 0) or failed in its block; it had no effect besides its fee."""

    def __init__(
        self, message: str, *, code: int = 0, codespace: str = "", log: str = "", height: int = 0, tx_hash: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.codespace = codespace
        self.log = log
        self.height = height
        self.tx_hash = tx_hash


class TransactionNotConfirmed(InterchainError):
    """A transaction can come into no block any more: it has no effect, and what to do can be decided again from state."""

    def __init__(self, message: str, *, tx_hash: str = "", height: int = 0) -> None:
        super().__init__(message)
        self.tx_hash = tx_hash
        self.height = height


class TransactionUnsettled(InterchainError):
    """A transaction may still come into a block: nobody could be asked, or the chain makes no blocks. Do not send again."""

    def __init__(self, message: str, *, tx_hash: str = "", height: int = 0) -> None:
        super().__init__(message)
        self.tx_hash = tx_hash
        self.height = height


class FeeTooHigh(InterchainError):
    """A transaction would cost more than the user allows; it was not sent."""


class KeyStoreError(InterchainError):
    """A key could not be stored or read."""


class StateError(InterchainError):
    """A state document could not be read or written."""


class StateConflict(StateError):
    """A state document was written by somebody else since it was read."""


class ClusterError(InterchainError):
    """The Kubernetes cluster could not be reached or refused a request; ``status`` is the HTTP status, 0 without one."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NodeSilent(ClusterError):
    """A node's pod was reached, and the node in it did not answer."""

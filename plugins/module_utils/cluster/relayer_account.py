# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The account that a validator's relayer signs with on the two chains of a consumer, what it holds, and its share of the public account's money."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key, ibc, transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer, Wanted
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster, decoded
from ansible_collections.interchain.security.plugins.module_utils.cluster.place import SETTINGS
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import genesis, relaying
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import Funding
from ansible_collections.interchain.security.plugins.module_utils.ics.names import consumer_namespace
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import StagedSettings
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import CONSUMER, PROVIDER, Wallet
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

SECRET, MNEMONIC = "relayer", "mnemonic"  # in the monitor's namespace


@dataclass(frozen=True)
class Question:
    """Whose relayer of which consumer is looked at."""

    consumer: Consumer
    validator: str
    operator_address: str
    monitor_namespace: str
    provider_denom: str
    least: int

    @property
    def namespace(self) -> str:
        """The namespace of the consumer's node and relayer."""
        return consumer_namespace(self.validator, self.consumer.consumer_id)


@dataclass(frozen=True)
class Account:
    """The validator's own account on the two chains, with the denom of its fees on the provider and the least that it should hold on each.

    ``funding`` is what the consumer's genesis gives to each relayer's account; ``public``, when not None, is the only one that it gives to, and everybody
    has its key.
    """

    provider: AccountKey
    consumer: AccountKey
    public: AccountKey | None
    provider_denom: str
    funding: Funding
    least: int


def mnemonic_of(cluster: Cluster, monitor_namespace: str) -> str:
    """Return the mnemonic of the validator's relayer account; empty when it has none."""
    secret = cluster.get("Secret", SECRET, monitor_namespace)
    return decoded((secret or {}).get("data"), MNEMONIC).strip()


def account_of(cluster: Cluster, question: Question) -> Account:
    """Return the relayer's account; InvalidInput when there is no key or the node was never staged."""
    mnemonic = mnemonic_of(cluster, question.monitor_namespace)
    if not mnemonic:
        raise InvalidInput(f"there is no Secret {question.monitor_namespace}/{SECRET} with the relayer's mnemonic")
    staged = cluster.get("ConfigMap", SETTINGS, question.namespace)
    if staged is None:
        raise InvalidInput(
            f"the node of consumer {question.consumer.consumer_id} was never staged in {question.namespace}"
        )
    settings = StagedSettings.parse(staged.get("data") or {}).genesis
    is_public = settings.profile == genesis.ICS_OPERATOR
    return Account(
        account_key.from_mnemonic(mnemonic),
        account_key.from_mnemonic(mnemonic, settings.address_prefix),
        account_key.from_mnemonic(genesis.ICS_OPERATOR_MNEMONIC, settings.address_prefix) if is_public else None,
        question.provider_denom,
        genesis.funding_of(question.consumer.metadata, settings.funding),
        question.least,
    )


def provider_wallet(provider: NodeRpc, account: Account) -> Wallet:
    """Return what the validator's own account holds on the provider."""
    return _wallet(PROVIDER, provider, account.provider, account.provider_denom, account.least)


def consumer_wallets(chain: NodeRpc, account: Account) -> tuple[Wallet, Wallet | None]:
    """Return what the validator's own account and the public one hold on the consumer."""
    denom = account.funding.denom
    own = _wallet(CONSUMER, chain, account.consumer, denom, account.least)
    public = None if account.public is None else _wallet(CONSUMER, chain, account.public, denom, account.least)
    return own, public


def payer(chain: NodeRpc, account: Account) -> AccountKey:
    """Return the key of the account that pays on the consumer."""
    own, public = consumer_wallets(chain, account)
    return account.public if account.public and relaying.payer(own, public) == public else account.consumer


def take_share(chain: NodeRpc, signer: Signer, account: Account, members: int) -> int:
    """Send the validator's own account its share of the public account's money, which signs; return the amount, 0 when there was nothing to send.

    All members do so at about the same time, with the same key: who comes second signs anew, after another look at what is left.
    """
    amount = 0

    def wanted() -> Wanted | None:
        nonlocal amount
        own, public = consumer_wallets(chain, account)
        amount = relaying.share_of(own, public, account.funding.amount, members)
        if not amount:
            return None
        message = messages.bank_tx_pb2.MsgSend(from_address=signer.key.account_address, to_address=own.address)
        message.amount.add(denom=own.denom, amount=str(amount))
        return Wanted(message, "cosmos.bank.v1beta1.MsgSend")

    return amount if transaction.send_until(chain, signer, wanted) else 0


def _wallet(name: str, chain: NodeRpc, key: AccountKey, denom: str, least: int) -> Wallet:
    return Wallet(name, key.account_address, denom, ibc.balance(chain, key.account_address, denom), least)

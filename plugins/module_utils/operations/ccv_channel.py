# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Open the CCV channel of a consumer: begin what has to be begun, and wait until the relayer has finished it."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import ibc, transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer, Wanted
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.pod_chain import PodChain, chain_of
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_account import (
    Account,
    account_of,
    consumer_wallets,
    payer,
    take_share,
)
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_look import (
    may_begin,
    members_in_order,
    rank_of,
    sight,
    takes_payments,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    ccv_channel,
    genesis,
    hermes_config,
    relaying,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Decision, Sight, Step
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, relayer_options

ARGUMENT_SPEC: dict[str, Any] = {
    **relayer_options.RELAYER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "consumer_gas_price": {"type": "float", "default": 0.01},
    "wait_timeout": {"type": "int", "default": 0},
}
POLL_SECONDS = 0.5
CONFIRM_SECONDS = 30.0
MOST_STEPS_SECONDS = 120.0  # for the transactions of a run that does not wait


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, begin what is this validator's turn, and look again until the channel is open or the time is over."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    if params["wait_timeout"] < 0 or params["consumer_gas_price"] < 0:
        raise InvalidInput("wait_timeout and consumer_gas_price must be at least 0")
    client = connection.provider_client(params)
    consumer = client.consumer(consumer_id)
    chain_id = client.status().chain_id
    result: dict[str, Any] = {
        "changed": False,
        "consumer_id": consumer_id,
        "provider_chain_id": chain_id,
        "began": [],
        "share": 0,
        "problem": "",
    }
    if reason := _impossible(consumer, chain_id):
        return {**result, **_nothing(reason)}
    question = relayer_options.question(params, consumer)
    cluster = Cluster(params["kubeconfig"])
    account = account_of(cluster, question)
    members = members_in_order(client, consumer, client.validators())
    rank = rank_of(question.operator_address, members)
    price = GasPrice(Decimal(str(params["consumer_gas_price"])), account.funding.denom)

    def signer(key: AccountKey) -> Signer:
        return Signer(key, price, confirm_seconds=CONFIRM_SECONDS)

    deadline = time.monotonic() + params["wait_timeout"]
    with chain_of(cluster, question.namespace, params["wait_timeout"] + MOST_STEPS_SECONDS) as chain:
        while True:
            decision = ccv_channel.decide(sight(client, chain, consumer))
            turn = may_begin(client, consumer, rank)
            begins = decision.step in (Step.BEGIN_CONNECTION, Step.BEGIN_CHANNEL)
            if (
                begins
                and turn
                and not check_mode
                and _begin(client, chain, consumer, signer(payer(chain, account)), decision.step)
            ):
                result.update(changed=True, began=[*result["began"], decision.step.value])
                continue
            over = time.monotonic() >= deadline or not turn
            if over or check_mode or decision.step in (Step.OPEN, Step.CLOSED):
                if decision.step is Step.OPEN and account.public and takes_payments(chain, decision):
                    public = signer(account.public)
                    result.update(_share(chain, public, account, len(members), check_mode))
                signs = payer(chain, account)
                return {
                    **result,
                    "changed": result["changed"] or (begins and turn) or result["share"] > 0,
                    "step": decision.step.value,
                    "reason": decision.reason,
                    "may_begin": turn,
                    "account": signs.account_address,
                    "public_mnemonic": genesis.ICS_OPERATOR_MNEMONIC if signs == account.public else "",
                    **_ids(decision),
                }
            time.sleep(POLL_SECONDS)
            # One that was stopped meanwhile never gets its channel.
            if reason := _impossible(client.consumer(consumer_id), chain_id):
                return {**result, **_nothing(reason)}


def _impossible(consumer: Consumer, provider_chain_id: str) -> str:
    """Return why there is no channel to open, empty when there is."""
    if consumer.phase is not Phase.LAUNCHED:
        return f"the consumer is {consumer.phase.value}"
    return hermes_config.refusal(consumer.chain_id, provider_chain_id)


def _nothing(reason: str) -> dict[str, Any]:
    ids = _ids(Decision(Step.CLOSED, reason))
    return {"step": "none", "reason": reason, "may_begin": False, "account": "", "public_mnemonic": "", **ids}


def _begin(client: ProviderClient, chain: PodChain, consumer: Consumer, signer: Signer, step: Step) -> bool:
    """Take a step unless somebody else has taken it meanwhile; return whether it was taken here."""

    def wanted() -> Wanted | None:
        found: Sight = sight(client, chain, consumer)
        decision = ccv_channel.decide(found)
        if decision.step is not step:
            return None
        if step is Step.BEGIN_CONNECTION:
            return ibc.begin_connection(found.consumer_client, found.provider_client, signer.key.account_address)
        return ibc.begin_channel(decision.consumer_connection, signer.key.account_address)

    return transaction.send_until(chain, signer, wanted) is not None


def _share(chain: PodChain, public: Signer, account: Account, members: int, check_mode: bool) -> dict[str, Any]:
    """Take the share of the public account's money. Without it Hermes goes on with that account, so what goes wrong is told only."""
    if check_mode:
        return {"share": relaying.share_of(*consumer_wallets(chain, account), account.funding.amount, members)}
    try:
        return {"share": take_share(chain, public, account, members)}
    except InterchainError as error:
        return {"problem": f"the relayer's own account on the consumer got no share of the public one's money: {error}"}


def _ids(decision: Decision) -> dict[str, str]:
    return {
        "consumer_connection": decision.consumer_connection,
        "provider_connection": decision.provider_connection,
        "consumer_channel": decision.consumer_channel,
        "provider_channel": decision.provider_channel,
    }

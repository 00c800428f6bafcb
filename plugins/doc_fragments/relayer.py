# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that name a validator's relayer and its account."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by modules that look at a consumer's relayer or act with its account."""

    DOCUMENTATION = r"""
options:
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  operator_address:
    description: Operator address of the validator.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the monitor, with the Secret C(relayer). The default is O(validator) followed by C(-monitor).
    type: str
  provider_gas_price:
    description: Price of a unit of gas on the provider, such as V(0.01stake). Its denom is what the relayer pays with.
    type: str
    default: 0.01stake
  least_balance:
    description: Amount of the fees' denom below which an account counts as unable to pay for long.
    type: int
    default: 100000
"""

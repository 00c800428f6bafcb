# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the account that signs a transaction."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by every module that sends a transaction."""

    DOCUMENTATION = r"""
options:
  mnemonic:
    description:
      - The mnemonic of the signing account, path m/44'/118'/0'/0/0.
      - Exactly one of O(mnemonic) and O(mnemonic_file) is needed.
    type: str
  mnemonic_file:
    description:
      - A file that holds the mnemonic, such as a mounted Secret.
    type: path
  gas_prices:
    description:
      - Price of one unit of gas with its denom.
    type: str
    default: 0.01stake
  tx_timeout:
    description:
      - Seconds to wait for a transaction to be in a block, beyond the time of its timeout height of 20 blocks.
    type: float
    default: 60.0
"""

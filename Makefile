# SPDX-License-Identifier: GPL-3.0-or-later
# Thin: each target calls the set-up, the testbed or a playbook.
SHELL := /bin/bash
.DEFAULT_GOAL := help

TESTBED := .venv/bin/python -m tests.testbed
# What the targets below take from the command line.
export ALLOW_DUPLICATE CHAIN_ID CONSUMER_DESCRIPTION CONSUMER_ID CONSUMER_IDS CONSUMER_METADATA CONSUMER_NAME CONSUMER_PARAMETERS SPAWN_TIME UNBONDING_PERIOD
export ENDPOINT_P2P KEY_PARAMETERS LEFTOVER_IDS REMOVE_EXPIRED_KEYS VALIDATOR

CONFIG ?= config.yaml
CORE ?= 2.20
PYTHON ?= python3.12

.PHONY: help setup config-check quick-start test lint check-core unit molecule bench testbed testbed-down status hermes-status logs \
	list-consumers show-consumer create-consumer update-consumer-parameters remove-consumer opt-in opt-out assign-key keys register-endpoint \
	check-consumers repair-consumer update-consumer validator-endpoints check-endpoint-sync remove-leftovers clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-26s %s\n", $$1, $$2}' Makefile

setup: ## Install what the other targets need (.venv, .build, Debian packages); repeats nothing
	@scripts/setup

quick-start: setup ## From nothing to a consumer chain launched by the monitors of three validators
	@.venv/bin/python -m tests.testbed.quick_start

config-check: setup ## Check a validator's configuration, and show what is set and where that comes from (CONFIG=config.yaml)
	@test -f "$(CONFIG)" || { echo "there is no $(CONFIG): copy docs/config.example.yaml, or give CONFIG=..." >&2; exit 1; }
	@ANSIBLE_COLLECTIONS_PATH=.build/collections ANSIBLE_INVENTORY_ENABLED=auto ANSIBLE_INVENTORY_UNPARSED_FAILED=true \
	  .venv/bin/ansible-playbook --inventory "$(CONFIG)" interchain.security.config_check

test: setup ## Run all tests: lint, sanity, build, unit, integration, e2e, molecule
	@scripts/test

lint: setup ## Run the linters and the type checker only
	@scripts/test lint

check-core: setup ## Run sanity, unit and build tests with another ansible-core (CORE=2.20 PYTHON=python3.12)
	@.venv/bin/python scripts/check_core.py "$(CORE)" "$(PYTHON)"

unit: setup ## Run the unit tests only
	@scripts/test unit

molecule: setup ## Run the Molecule scenarios of the roles consumer, hermes and load_balancer only
	@scripts/test molecule

bench: setup ## Measure the event source, 200 launches in one block, and a launch and an opened channel beside the same by hand
	@PYTHONPATH=.build/collections .venv/bin/python -m tests.benchmarks.event_source
	@PYTHONPATH=.build/collections .venv/bin/python -m tests.benchmarks.storm
	@PYTHONPATH=.build/collections .venv/bin/python -m tests.benchmarks.launch
	@PYTHONPATH=.build/collections .venv/bin/python -m tests.benchmarks.relaying

testbed: setup ## Build what the cluster needs and bring the cluster up, without a devnet
	@$(TESTBED) build && $(TESTBED) up

testbed-down: setup ## Take the cluster down and leave nothing behind
	@$(TESTBED) down

hermes-status: ## Show how far the CCV channels are and whether the relayers relay (VALIDATOR=alice; optional CONSUMER_ID=0)
	@scripts/devnet validator-playbook hermes_status consumer_id

status: ## Show what every monitor decided and does, and why
	@scripts/devnet playbook status

logs: ## Show the last lines of every monitor (LINES_EACH=50)
	@scripts/devnet logs

list-consumers: ## List the consumers that the provider knows
	@scripts/devnet playbook list_consumers

show-consumer: ## Show one consumer (CONSUMER_ID=0)
	@scripts/devnet playbook show_consumer consumer_id

create-consumer: ## Create a consumer (CHAIN_ID=demo-2; optional SPAWN_TIME=+60s, CONSUMER_NAME, CONSUMER_PARAMETERS='{"top_n": 0}', ...)
	@scripts/devnet playbook create_consumer chain_id spawn_time consumer_name consumer_description consumer_metadata unbonding_period \
	  allow_duplicate consumer_parameters

update-consumer-parameters: ## Change a consumer's parameters as its owner (CONSUMER_ID=0 CONSUMER_PARAMETERS='{"validators_power_cap": 33}')
	@scripts/devnet playbook update_consumer_parameters consumer_id consumer_parameters

remove-consumer: ## Stop a launched consumer as its owner (CONSUMER_ID=0)
	@scripts/devnet playbook remove_consumer consumer_id

opt-in: ## Opt a validator in by hand, whatever its policy says (CONSUMER_ID=0 VALIDATOR=charlie)
	@scripts/devnet validator-playbook opt_in consumer_id

opt-out: ## Opt a validator out of a launched consumer (CONSUMER_ID=0 VALIDATOR=charlie)
	@scripts/devnet validator-playbook opt_out consumer_id

assign-key: ## Give a validator a consensus key of its own for a consumer (CONSUMER_ID=0 VALIDATOR=charlie)
	@scripts/devnet validator-playbook assign_key consumer_id

keys: ## Show a validator's keys, or change one (VALIDATOR=alice; optional KEY_PARAMETERS='{"name": "spare"}')
	@scripts/devnet validator-playbook keys key_parameters

register-endpoint: ## Announce on chain where a validator's nodes are reached (VALIDATOR=alice; optional ENDPOINT_P2P=host)
	@scripts/devnet validator-playbook validator_endpoint endpoint_p2p

check-consumers: ## Look now whether a validator's consumer nodes are well, and repair what can be repaired safely (VALIDATOR=alice)
	@scripts/devnet validator-playbook check_consumers

repair-consumer: ## Repair or start the node of a consumer at once (CONSUMER_ID=0 VALIDATOR=alice)
	@scripts/devnet validator-playbook repair_consumer consumer_id

update-consumer: ## Bring running nodes up to date, one after the other (VALIDATOR=alice; optional CONSUMER_ID=0 or CONSUMER_IDS=0,3)
	@scripts/devnet validator-playbook update_consumer consumer_id consumer_ids

validator-endpoints: ## Show what the validators announce, and what is wrong with it
	@scripts/devnet playbook validator_endpoints

check-endpoint-sync: ## Compare wanted, configured and connected peers of a validator's nodes; fails when they differ (VALIDATOR=alice)
	@scripts/devnet validator-playbook check_endpoint_sync consumer_id

remove-leftovers: ## Show what is left of consumers, remove what is named (VALIDATOR=alice; optional LEFTOVER_IDS=3,7, REMOVE_EXPIRED_KEYS=true)
	@scripts/devnet validator-playbook remove_leftovers leftover_ids remove_expired_keys

clean: testbed-down ## Take the devnet and the cluster down; build products and .venv stay
	@rm -rf .build/devnet

# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations with options that Ansible has checked and completed, as their modules run them."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.interchain.security.plugins.module_utils.runner import Operation


class InvalidOptions(Exception):
    """A module would refuse these options; the message says why."""


def checked_options(spec: dict[str, Any], /, **options: Any) -> dict[str, Any]:
    """Return the options as a module with this argument spec gets them; InvalidOptions when it would refuse them."""
    validated = ArgumentSpecValidator(spec).validate(options)
    if validated.error_messages:
        raise InvalidOptions("; ".join(validated.error_messages))
    found: dict[str, Any] = validated.validated_parameters
    return found


def known_options(spec: dict[str, Any], /, **options: Any) -> dict[str, Any]:
    """Return those of the options that the argument spec has: what several operations are given in the same way."""
    return {name: value for name, value in options.items() if name in spec}


def run_operation(operation: Operation, /, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """Run an operation and return its result; InvalidOptions, or InterchainError when it cannot be done."""
    return operation.run(checked_options(operation.ARGUMENT_SPEC, **options), check_mode)

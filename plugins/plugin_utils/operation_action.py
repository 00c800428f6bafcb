# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugins that do a module's work in Ansible's own process: 10 to 30 ms instead of 400 for a new Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.interchain.security.plugins.module_utils.runner import (
    Operation,
    execute,
)


class OperationAction(ActionBase):
    """Base of the action plugins; each names its operation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True
    operation: ClassVar[Operation]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the arguments as the module would and run the operation."""
        result = super().run(tmp, task_vars)
        del tmp
        validated = ArgumentSpecValidator(self.operation.ARGUMENT_SPEC).validate(self._task.args)
        if validated.error_messages:
            return {
                **result,
                "failed": True,
                "msg": "; ".join(validated.error_messages),
            }
        with self._environment():
            outcome = execute(self.operation, validated.validated_parameters, self._task.check_mode)
        if not self._task.diff:
            outcome.pop("diff", None)
        return {**result, **outcome}

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """Set what the task's keyword ``environment`` says, as a module would find it."""
        given: dict[str, str] = {}
        self._compute_environment_string(given)
        before = dict(os.environ)
        os.environ.update({name: str(value) for name, value in given.items()})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that hold secrets: read only when no stranger can, written so that none ever could."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError

LARGEST = 1024 * 1024
# Others may do nothing, the group at most read: a mounted Secret belongs to a group (fsGroup).
FORBIDDEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def read(option: str, path: str) -> str:
    """Return the text of a secret file named by an option, without white space around it.

    KeyStoreError when it cannot be read or is empty, or when others than its owner and its group could read it.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & FORBIDDEN:
                raise KeyStoreError(
                    f"the file {path} of {option} has mode {stat.S_IMODE(mode):04o}: others could read or change a secret; "
                    f"run chmod 600 {path}"
                )
            text = file.read(LARGEST).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyStoreError(
            f"the file {path} of {option} cannot be read: {getattr(error, 'strerror', None) or 'not text'}"
        ) from None
    if not text:
        raise KeyStoreError(f"the file {path} of {option} is empty")
    return text


def one_of(params: dict[str, str | None], name: str) -> str | None:
    """Return a secret that is given by an option or by the file of the option ``<name>_file``, None when by neither."""
    direct, file = params.get(name), params.get(f"{name}_file")
    if direct and file:
        raise InvalidInput(f"give only one of {name} and {name}_file")
    return read(f"{name}_file", file) if file else direct or None


def create(path: Path, text: str) -> None:
    """Write a new file of mode 0600, durably; FileExistsError when there is one, which stays as it is, else OSError."""
    temporary = _write_beside(path, text)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()
    _sync_folder(path.parent)


def replace(path: Path, text: str) -> None:
    """Write a file of mode 0600, durably, in place of what is there; OSError when that is not possible."""
    os.replace(_write_beside(path, text), path)
    _sync_folder(path.parent)


def _write_beside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

"""Replace `carebell.yaml` in one step: whoever reads it, and whatever breaks, sees the old file or the new one, whole.

Writers of Carebell wait for each other with a lock on the folder. An editor such as vi takes no lock. Therefore the two files
are exchanged, not overwritten: what the exchange brings out is compared with what the writer had seen, and is put back if
somebody else wrote it in between.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pwd
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from config.digests import digest_of
from config.document import MOST_BYTES
from config.regular_file import read_regular

LOCK_SECONDS: Final = 10.0
"""How long a writer waits for another. A save takes some milliseconds."""

_RENAME_EXCHANGE: Final = 2  # linux/fs.h
_AT_FDCWD: Final = -100  # fcntl.h
_POLL_SECONDS: Final = 0.02


class SaveRefused(Exception):
    """The file was not written. The message is a sentence."""


class SaveConflict(Exception):
    """The file is not the one that the new content was made from. Nothing was written.

    Attributes:
        present: what it holds now.
    """

    def __init__(self, path: Path, present: bytes) -> None:
        self.present = present
        super().__init__(f"{path.name} was changed by somebody else in the meantime; nothing was written")


def save(path: Path, content: bytes, *, base: bytes, reached: Callable[[str], None] = lambda step: None) -> None:
    """Write `content`, if the file still is what `base` is the digest of. Owner, mode and extended attributes stay.

    Args:
        base: `config.digests.digest_of` of the content that was edited.
        reached: called with the name of each step, before it; tests end the process there.

    Raises:
        SaveConflict: the file holds something else, or was written at the same moment.
        SaveRefused: the file or its folder cannot be written; it is as it was.
    """
    if _is_mounted(path):
        raise SaveRefused(
            f"{path.name} is mounted from a Kubernetes ConfigMap or Secret; change it there. Nothing was written"
        )
    target = Path(os.path.realpath(path))  # a symlink stays a symlink
    try:
        with _folder_locked(target.parent):
            _remove_leftovers(target)
            if digest_of(present := read_regular(target, MOST_BYTES + 1)) != base:
                raise SaveConflict(path, present)
            temporary = _written_beside(target, content, reached)
            try:
                _exchange(target, temporary, base, reached)
            finally:
                temporary.unlink(missing_ok=True)
            reached("folder synced")
            _sync_folder(target.parent)
    except OSError as error:
        why = (error.strerror or "input or output error").lower()
        raise SaveRefused(f"{path} cannot be written: {why}. It is as it was") from None


def why_not_writable(path: Path) -> str | None:
    """Why `save` would refuse, as far as can be told without writing: a sentence without a full stop; None: nothing is known."""
    if _is_mounted(path):
        return f"{path.name} is mounted from a Kubernetes ConfigMap or Secret; change it there"
    target = Path(os.path.realpath(path))
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return f"The service's account may not write into the folder of {path.name}, or it is mounted read-only"
    with suppress(OSError):
        owner = target.stat().st_uid
        if owner != os.geteuid() and os.geteuid() != 0:
            return f"{path.name} belongs to {_login(owner)}, and the service runs as {_login(os.geteuid())}"
    return None


def _is_mounted(path: Path) -> bool:
    return "..data" in os.path.realpath(path).split(os.sep)


@contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise SaveRefused(
                        f"another process is writing in {folder} for {LOCK_SECONDS:.0f} s; nothing was written"
                    ) from None
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _prefix(target: Path) -> str:
    return f".{target.name}.new-"


def _remove_leftovers(target: Path) -> None:
    """Files that a killed writer left. Under the lock, so they are nobody's."""
    for leftover in target.parent.glob(f"{_prefix(target)}*"):
        leftover.unlink(missing_ok=True)


def _written_beside(target: Path, content: bytes, reached: Callable[[str], None]) -> Path:
    """The new content on the disk, in the same folder, with the old file's owner, mode and attributes."""
    before = target.stat()
    reached("created")
    descriptor, name = tempfile.mkstemp(prefix=_prefix(target), dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_owner(descriptor, before, target)
            for attribute in os.listxattr(target):
                with suppress(OSError):  # some belong to the kernel
                    os.setxattr(descriptor, attribute, os.getxattr(target, attribute))
            reached("written")
            file.write(content)
            file.flush()
            reached("synced")
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _keep_owner(descriptor: int, before: os.stat_result, target: Path) -> None:
    created = os.fstat(descriptor)
    if (created.st_uid, created.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        except PermissionError:
            raise SaveRefused(
                f"{target} belongs to {_login(before.st_uid)}: write it as that account or as root. Nothing was written"
            ) from None
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _exchange(target: Path, temporary: Path, base: bytes, reached: Callable[[str], None]) -> None:
    reached("exchanged")
    if not _exchanged(target, temporary):
        os.replace(temporary, target)  # a file system without it; the moment since the comparison is unguarded
        return
    brought_out = read_regular(temporary, MOST_BYTES + 1)
    if digest_of(brought_out) != base:
        _exchanged(target, temporary)
        raise SaveConflict(target, brought_out)


def _exchanged(target: Path, temporary: Path) -> bool:
    """Swap the names of two files in one step. False if this system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(target), _AT_FDCWD, os.fsencode(temporary), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(target))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _login(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"account {user}"

"""Messages through a pipe, read without ever waiting: whoever writes half a message, or rubbish, blocks nobody."""

from __future__ import annotations

import os
import struct

_MARK = b"\x93coordbench\n"  # a message begins so; anything else in the pipe is not ours
_HEAD = len(_MARK) + 8
_CHUNK = 1 << 20


class ForeignBytesError(Exception):
    """Something that is no message of ours was written into the pipe."""


def send(descriptor: int, message: bytes) -> None:
    """Write a message whole, waiting until the reader has taken it."""
    left = memoryview(_MARK + struct.pack("<Q", len(message)) + message)
    while left:
        left = left[os.write(descriptor, left) :]


class Inbox:
    """The reading end of a pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._pending = bytearray()

    def read(self) -> bool:
        """Take what there is; False where all writers are gone."""
        try:
            chunk = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        self._pending += chunk
        return bool(chunk)

    def drain(self) -> None:
        """Take all there is."""
        before = -1
        while len(self._pending) > before:
            before = len(self._pending)
            self.read()

    def take(self, unit: int) -> bytes:
        """Remove and return what has come, in whole units of so many bytes."""
        size = len(self._pending) // unit * unit
        units = bytes(self._pending[:size])
        del self._pending[:size]
        return units

    def shorten(self, size: int) -> None:
        """Forget all but the last bytes."""
        del self._pending[: max(0, len(self._pending) - size)]

    def message(self) -> bytes | None:
        """The next message that has come whole, or None; raise ForeignBytesError for what is no message."""
        pending = self._pending
        if not _MARK.startswith(pending[: len(_MARK)]):
            raise ForeignBytesError(bytes(pending[:40]))
        if len(pending) < _HEAD:
            return None
        [size] = struct.unpack_from("<Q", pending, len(_MARK))
        if len(pending) < _HEAD + size:
            return None
        message = bytes(pending[_HEAD : _HEAD + size])
        del pending[: _HEAD + size]
        return message

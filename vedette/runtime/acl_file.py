"""The ACL file on disk."""

from __future__ import annotations

from pathlib import Path

import structlog

from .durable_file import write_durably

log = structlog.get_logger()


class DiskAclFile:
    """Implements `vedette.acl.AclFile`; a relative path counts from the process' directory."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> bytes:
        """See `AclFile`."""
        return Path(self.path).read_bytes()

    def write(self, text: bytes) -> None:
        """See `AclFile`."""
        try:
            write_durably(self.path, text)
        except OSError as error:
            log.error("acl_file.not_saved", path=self.path, error=error.strerror or str(error))
            raise

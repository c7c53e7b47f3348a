"""What `enable-debug-command` and its like allow: nobody, everybody, or clients of this machine."""

from __future__ import annotations

from vedette.clients import Session


def is_local(session: Session) -> bool:
    """Return whether the client is on this machine."""
    if session.is_unix_socket:
        return True
    host = session.address.rpartition(":")[0].strip("[]")
    return host == "::1" or host.startswith(("127.", "::ffff:127."))


def is_allowed(setting: str, session: Session) -> bool:
    """Return whether `setting` (`yes`, `no` or `local`) allows `session` the protected action."""
    return setting == "yes" or (setting == "local" and is_local(session))

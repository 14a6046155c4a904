"""How the clients of Azure's SDKs reach storage: by one session, so that a process reads its trusted certificates once
and each host's connections are there for every client and every thread.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from leads.transport import CONNECTIONS, trusting

if TYPE_CHECKING:
    import requests

_making = Lock()


def transport(connect: float, read: float) -> Any:
    """A transport for one client (`azure.core.pipeline.transport.RequestsTransport`), with its timeouts in seconds.

    Left to itself each client has a session of its own, which keeps ten connections and throws others away.
    """
    from azure.core.pipeline.transport import RequestsTransport

    with _making:
        return RequestsTransport(session=_session(), session_owner=False, connection_timeout=connect, read_timeout=read)


@cache
def _session() -> requests.Session:
    import requests
    from urllib3.util import Retry

    session = requests.Session()
    # As the SDK's own: it repeats what failed by its policies, and never follows.
    never = Retry(total=False, redirect=False, raise_on_status=False)
    for scheme in ("https://", "http://"):
        session.mount(scheme, trusting()(max_retries=never, pool_maxsize=CONNECTIONS))
    return session

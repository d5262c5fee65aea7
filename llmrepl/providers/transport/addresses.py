"""Resolve host names, and tell public addresses from those of this machine and its networks."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence

from llmrepl.errors import LLMError

Resolve = Callable[[str, int, float], Sequence[str]]
"""Look up the addresses of a host and port within a number of seconds. Raises LLMError."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an IP address is reachable from the internet: not loopback, private, link-local, multicast or reserved.

    An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4) counts as that one.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    address = _carried(address)
    if address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address.is_global and not (isinstance(address, ipaddress.IPv6Address) and address.teredo)


def _carried(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
    """Look up a host with the system's resolver, which has no time limit of its own. Raises LLMError."""
    found: list[str] = []
    failed: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(row[4][0]) for row in rows))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise LLMError(f"The address of {host} was not found within {seconds:g} s.", "check the network")
    if failed or not found:
        raise LLMError(f"The host {host} is not known.", "check the address and the network")
    return found

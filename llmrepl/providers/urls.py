"""Base URLs that keys may be sent to."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from llmrepl.errors import UsageError


def check_url(base_url: str, *, allow_http: bool) -> str:
    """Return `base_url` without a trailing slash.

    Raises UsageError if it is invalid, contains a password, or would send a key unencrypted to another machine without
    `allow_http`.
    """
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or any(ord(letter) <= 32 for letter in base_url):
        raise UsageError(f"base_url is not a URL: '{display_url(base_url)[:200]}'", "write it like https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"base_url for {host} must not hold a name or a password", "set the key instead")
    if parts.query or parts.fragment:
        raise UsageError(
            f"base_url must end with the path: '{display_url(base_url)[:200]}'", "leave out what follows '?' or '#'"
        )
    if parts.scheme == "http" and not is_loopback(host) and not allow_http:
        raise UsageError(
            f"base_url {display_url(base_url)[:200]} is not encrypted, and anyone on the way could read the key",
            "use https, or set allow_http = true in your configuration",
        )
    return base_url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def split_query(url: str) -> tuple[str, dict[str, str]]:
    """Split a base URL from its query, which is sent with every request but never shown."""
    base, _, query = url.partition("?")
    return base, dict(parse_qsl(query.partition("#")[0], keep_blank_values=True))


def display_url(url: str) -> str:
    """Return a URL for display: without user name, password, query and fragment."""
    return re.sub(r"(?<=//)[^/?#@]*@", "", re.split(r"[?#]", url, maxsplit=1)[0])

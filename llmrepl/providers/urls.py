"""Where a key may go: base URLs that are safe to use."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from llmrepl.errors import UsageError


def check_url(base_url: str, *, allow_http: bool) -> str:
    """`base_url` without a slash at its end. Raises UsageError if it is no URL, holds a password, or would send a key
    unencrypted to another machine without `allow_http`."""
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
    """A base URL without its query, and the query, which goes with every request and is never shown."""
    base, _, query = url.partition("?")
    return base, dict(parse_qsl(query.partition("#")[0], keep_blank_values=True))


def display_url(url: str) -> str:
    """A URL as it may be shown: without a user name, a password, a query or a fragment."""
    return re.sub(r"(?<=//)[^/?#@]*@", "", re.split(r"[?#]", url, maxsplit=1)[0])

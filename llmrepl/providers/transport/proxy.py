"""The proxy on the way to a server, as the real environment names it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from llmrepl.errors import UsageError
from llmrepl.providers.urls import is_loopback


class Proxy(NamedTuple):
    """A proxy and the environment variable that names it."""

    url: str
    variable: str

    @property
    def place(self) -> str:
        """Host and port, without a password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that the environment names for `url`; none for this machine and for what NO_PROXY lists.

    Raises UsageError for a proxy that cannot be used; a password in it is not repeated.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    known = {
        name.lower(): (value, name) for name, value in environ.items() if name.lower().endswith("_proxy") and value
    }
    exempt = {"no": known["no_proxy"][0] if "no_proxy" in known else ""}
    if is_loopback(host) or urllib.request.proxy_bypass_environment(parts.netloc, exempt):  # type: ignore[attr-defined]
        return None
    value, variable = known.get(f"{parts.scheme}_proxy") or known.get("all_proxy") or ("", "")
    return Proxy(_checked(value.strip(), variable), variable) if variable else None


def _checked(proxy: str, variable: str) -> str:
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = (
            bool(parts.hostname) and parts.port != 0 and not (parts.path.strip("/") or parts.query or parts.fragment)
        )
    except ValueError:
        usable = False
        parts = urlsplit("")
    if usable and parts.scheme not in ("http", "https"):
        raise UsageError(
            f"{variable} names a proxy of a kind that is not supported: {parts.scheme}",
            "set it to an http:// proxy, or add the host to NO_PROXY",
        )
    if not usable or any(ord(letter) <= 32 for letter in proxy):
        raise UsageError(
            f"{variable} is not the URL of a proxy",
            "write it like http://host:3128, with %23 for # and %40 for @ in a password",
        )
    return proxy

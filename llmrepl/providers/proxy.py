"""The proxy on the way to a server, as the real environment names it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from llmrepl.errors import UsageError
from llmrepl.providers.urls import is_loopback


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for `url`; none for this machine and for what NO_PROXY lists."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    known = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy") and value}
    if is_loopback(host) or urllib.request.proxy_bypass_environment(parts.netloc, {"no": known.get("no_proxy", "")}):  # type: ignore[attr-defined]
        return None
    proxy = known.get(f"{parts.scheme}_proxy") or known.get("all_proxy")
    if proxy is None or proxy.startswith(("http://", "https://")):
        return proxy
    if "://" not in proxy:
        return f"http://{proxy}"
    raise UsageError(
        f"the proxy that the environment names is of a kind that is not supported: {urlsplit(proxy).scheme}",
        "set HTTPS_PROXY to an http:// proxy, or add the host to NO_PROXY",
    )

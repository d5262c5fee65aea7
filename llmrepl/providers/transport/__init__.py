"""Transport: HTTP connections, and the framing of streams."""

import sys
from types import ModuleType

# where click is installed, httpx loads its command line with click, rich and pygments: half of the time to a reply
sys.modules.setdefault("httpx._main", ModuleType("httpx._main"))

"""Shared fixtures. In CI no test is skipped: a missing program or server is a failure."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from tests.cli_runner import CliRunner

# Run in the background of a script or under nohup these are ignored, also by each program that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture
def cli(tmp_path: Path) -> CliRunner:
    """A user with an empty home in an empty directory."""
    return CliRunner.at(tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _no_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _no_skip(report)


def _no_skip(report: Report) -> Report:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and os.environ.get("LLMREPL_CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI forbids: {report.longrepr}"
    return report


settings.register_profile("ci", derandomize=True)
"""The same examples in every run: what CI says must not depend on luck. Other runs look for new ones."""

settings.register_profile("quick", derandomize=True, max_examples=30)
"""Few examples, the same in every run, for mutation testing."""

if os.environ.get("LLMREPL_CI"):
    settings.load_profile("ci")

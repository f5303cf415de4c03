"""What passes between a browser and a kernel: widgets, and nothing else, however it is written."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection import base

from workbench.ui.review.messages import ANSWERED, ASKED, CONTROL, to_browser, to_kernel


def packed(kind: str, content: dict[str, Any] | None = None, channel: str = "shell", *buffers: bytes) -> bytes:
    """As JupyterLab sends it."""
    header = {"msg_id": "1", "msg_type": kind, "username": "", "session": "s", "date": "", "version": "5.3"}
    parts = [json.dumps(part).encode() for part in (header, {}, {}, content or {})]
    return bytes(base.serialize_msg_to_ws_v1([*parts, *buffers], channel))  # type: ignore[no-untyped-call]


WIDGETS: list[tuple[str, dict[str, Any]]] = [
    ("comm_msg", {"comm_id": "c", "data": {"method": "update", "state": {"value": 0.4}}}),
    ("comm_msg", {"comm_id": "c", "data": {"method": "custom", "content": {"event": "click"}}}),
    ("comm_open", {"comm_id": "c", "target_name": CONTROL, "data": {}}),
    ("comm_close", {"comm_id": "c", "data": {}}),
    ("comm_info_request", {"target_name": "jupyter.widget"}),
    ("kernel_info_request", {}),
]


@pytest.mark.parametrize(("kind", "content"), WIDGETS)
def test_what_a_page_of_widgets_sends_passes_unchanged(kind: str, content: dict[str, Any]) -> None:
    passed, told = to_kernel(packed(kind, content, "shell", b"\0\1"))
    assert told == kind
    assert passed is not None
    read: Any = base.deserialize_msg_from_ws_v1
    channel, parts = read(passed)
    assert channel == "shell"
    assert json.loads(parts[0])["msg_type"] == kind
    assert json.loads(parts[3]) == content
    assert parts[4] == b"\0\1"


# https://jupyter-client.readthedocs.io/en/stable/messaging.html: every request of the protocol that is no comm.
REQUESTS = (
    "execute_request", "inspect_request", "complete_request", "history_request", "is_complete_request",
    "connect_request", "shutdown_request", "interrupt_request", "debug_request", "create_subshell_request",
    "delete_subshell_request", "list_subshell_request", "input_reply", "usage_request",
)  # fmt: skip


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("channel", ["shell", "control", "stdin", "iopub"])
def test_no_request_that_runs_code_or_looks_into_the_kernel_passes(kind: str, channel: str) -> None:
    assert to_kernel(packed(kind, {"code": "1"}, channel))[0] is None


def test_comms_pass_on_one_channel_to_one_target_by_known_methods() -> None:
    update = {"comm_id": "c", "data": {"method": "update", "state": {}}}
    assert to_kernel(packed("comm_msg", update, "control"))[0] is None
    assert to_kernel(packed("comm_open", {"comm_id": "c", "target_name": "jupyter.widget", "data": {}}))[0] is None
    assert to_kernel(packed("comm_open", {"comm_id": "c", "target_name": "matplotlib", "data": {}}))[0] is None
    assert to_kernel(packed("comm_msg", {"comm_id": "c", "data": {"method": "exec"}}))[0] is None
    assert to_kernel(packed("comm_msg", {"comm_id": "c", "data": "update"}))[0] is None


def test_a_type_said_twice_counts_as_the_kernel_would_read_it() -> None:
    twice = b'{"msg_type": "comm_msg", "msg_type": "execute_request"}'
    parts = [twice, b"{}", b"{}", b'{"data": {"method": "update"}}']
    assert to_kernel(base.serialize_msg_to_ws_v1(parts, "shell"))[0] is None  # type: ignore[no-untyped-call]
    turned = [b'{"msg_type": "execute_request", "msg_type": "comm_info_request"}', b"{}", b"{}", b"{}"]
    passed, _ = to_kernel(base.serialize_msg_to_ws_v1(turned, "shell"))  # type: ignore[no-untyped-call]
    assert passed is not None
    assert b"execute_request" not in passed


@pytest.mark.parametrize(
    "kind", ["execute_input", "execute_result", "stream", "error", "execute_reply", "inspect_reply"]
)
def test_no_output_and_no_traceback_reaches_the_browser(kind: str) -> None:
    assert to_browser(packed(kind, {"traceback": ["secret"]}, "iopub")) is None


def test_states_of_widgets_reach_the_browser() -> None:
    for kind in ANSWERED:
        assert to_browser(packed(kind, {"data": {}}, "iopub")) is not None


@given(st.binary(max_size=400))
def test_bytes_of_any_kind_are_dropped_or_passed_and_never_break_it(message: bytes) -> None:
    passed, _ = to_kernel(message)
    assert passed is None or json.loads(base.deserialize_msg_from_ws_v1(passed)[1][0])["msg_type"] in ASKED  # type: ignore[no-untyped-call]
    to_browser(message)


def test_offsets_that_lie_cost_nothing() -> None:
    began = time.process_time()
    for count in (2**63, 2**40, 101, 7):
        assert to_kernel(struct.pack("<Q", count) + b"\xff" * 64)[0] is None
    nested = b"[" * 100_000
    assert to_kernel(base.serialize_msg_to_ws_v1([nested] * 4, "shell"))[0] is None  # type: ignore[no-untyped-call]
    assert to_kernel("a text")[0] is None
    assert time.process_time() - began < 1

"""What may pass between a reviewer's browser and a kernel: widgets, and nothing that runs code.

A browser's script is no border: anyone can open a websocket and send what they like. So every message is taken apart
here and put together anew from what is allowed; what is not is dropped. Format: kernel messages over websockets, v1
(https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html).
"""

from __future__ import annotations

import json
from typing import Any

PROTOCOL = "v1.kernel.websocket.jupyter.org"
LARGEST = 1024 * 1024
"""Bytes of one message to a kernel: a widget's change is a few hundred."""
ASKED = frozenset({"comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request"})
ANSWERED = frozenset({"comm_open", "comm_msg", "comm_close", "comm_info_reply", "kernel_info_reply", "status"})
CONTROL = "jupyter.widget.control"
"""The one comm a browser may open: it asks for the state of the widgets that are there."""
PARTS = 100
"""Parts of one message at most: its four heads, and the buffers of what a widget holds."""
METHODS = frozenset({"update", "custom", "request_state", "request_states"})


def to_kernel(message: bytes | str) -> tuple[bytes | None, str]:
    """The message as it may go on, or None; and what it was, for the record."""
    parsed = _parsed(message)
    if parsed is None:
        return None, "unreadable"
    channel, (header, parent, metadata, content), buffers = parsed
    kind = str(header.get("msg_type"))
    if channel != "shell" or kind not in ASKED or not _of_widgets(kind, content):
        return None, kind
    return _packed(channel, [header, parent, metadata, content], buffers), kind


def to_browser(message: bytes | str) -> bytes | None:
    """The message as it may go on, or None: no output, no error, no code that ran."""
    parsed = _parsed(message)
    if parsed is None or parsed[1][0].get("msg_type") not in ANSWERED:
        return None
    return _packed(*parsed)


def _of_widgets(kind: str, content: dict[str, Any]) -> bool:
    if kind == "comm_open":
        return content.get("target_name") == CONTROL
    if kind == "comm_msg":
        data = content.get("data")
        return isinstance(data, dict) and data.get("method") in METHODS
    return True


def _parsed(message: bytes | str) -> tuple[str, list[dict[str, Any]], list[bytes]] | None:
    from jupyter_server.services.kernels.connection import base

    read: Any = base.deserialize_msg_from_ws_v1  # the kernel server's own reader: what it sees is what we judge
    if not isinstance(message, bytes) or not 6 <= int.from_bytes(message[:8], "little") <= PARTS:
        return None
    try:
        channel, parts = read(message)
        heads = [json.loads(bytes(part)) for part in parts[:4]]
    except (ValueError, IndexError, UnicodeDecodeError, RecursionError, OverflowError, MemoryError):
        return None
    if len(heads) < 4 or not all(isinstance(head, dict) for head in heads):
        return None
    return channel, heads, [bytes(part) for part in parts[4:]]


def _packed(channel: str, heads: list[dict[str, Any]], buffers: list[bytes]) -> bytes:
    """Written anew: what a lenient reader might see in the original twice is there once."""
    from jupyter_server.services.kernels.connection import base

    write: Any = base.serialize_msg_to_ws_v1
    parts = [json.dumps(head).encode() for head in heads]
    return bytes(write([*parts, *buffers], channel))

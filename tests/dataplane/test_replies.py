import json
import time
from email.utils import parsedate_to_datetime

import pytest

from gatekeeper.dataplane.replies import local_reply, wants_html
from gatekeeper.errors import Fault
from tests.dataplane.world import Message


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("html", [False, True])
def test_every_fault_has_a_whole_answer_without_internals(fault, html):
    message = Message.read(local_reply(fault.value, html_wanted=html, request_id=b"abc"))
    assert message.status == fault.value.status
    assert int(message.get("content-length")) == len(message.body)
    assert message.get("proxy-status") == f"gatekeeper; error={fault.value.proxy_error}"
    assert (message.get("connection"), message.get("x-request-id")) == ("close", "abc")
    assert not any(word in message.body.lower() for word in (b"127.0.0.1", b"traceback", b"python"))


def test_an_answer_of_our_own_says_when_it_was_made():
    before = int(time.time())
    date = parsedate_to_datetime(Message.read(local_reply(Fault.BAD_REQUEST.value)).get("date"))
    assert before <= date.timestamp() <= time.time()


def test_programs_get_problem_json():
    message = Message.read(local_reply(Fault.RESET.value, request_id=b"abc"))
    assert message.get("content-type") == "application/problem+json"
    assert json.loads(message.body) == {
        "title": "Bad Gateway", "status": 502, "detail": "The backend closed before it answered.",
        "error": "connection_terminated", "request_id": "abc",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ([b"text/html,*/*;q=0.8"], True),
        ([b"application/json", b"TEXT/HTML"], True),
        ([b"*/*"], False),
        ([], False),
        ([b"text/plain"], False),
    ],
)
def test_html_is_for_those_who_name_it(accept, html):
    assert wants_html(accept) is html


def test_an_answer_to_head_tells_the_length_of_what_it_leaves_out():
    whole = Message.read(local_reply(Fault.RESET.value))
    bare = Message.read(local_reply(Fault.RESET.value, head_only=True))
    assert [name for name, _ in bare.fields] == [name for name, _ in whole.fields]
    assert (bare.body, len(whole.body)) == (b"", int(bare.get("content-length")))


def test_a_kept_connection_is_not_said_to_close():
    assert Message.read(local_reply(Fault.RESET.value, close=False)).get("connection") is None


def test_an_operators_page_is_used_for_its_status_then_for_its_class():
    pages = {"502": "<p>sorry", "5xx": "<p>oh"}
    for fault, body in ((Fault.RESET, b"<p>sorry"), (Fault.UNAVAILABLE, b"<p>oh")):
        assert Message.read(local_reply(fault.value, html_wanted=True, pages=pages)).body == body
    assert b"<p>" not in Message.read(local_reply(Fault.RESET.value, pages=pages)).body


@pytest.mark.parametrize(
    ("fault", "body"),
    [(Fault.RESET, b"exact"), (Fault.RESPONSE_TIMEOUT, b"class"), (Fault.BODY_TOO_LARGE, b"<!doctype html>")],
)
def test_a_page_of_the_service_goes_before_our_own(fault, body):
    """The status before its class, and only where HTML is wanted."""
    pages = {"502": "exact", "5xx": "class"}
    message = Message.read(local_reply(fault.value, html_wanted=True, pages=pages))
    assert message.body.startswith(body)
    assert message.get("content-type") == "text/html; charset=utf-8"
    assert int(message.get("content-length")) == len(message.body)
    program = Message.read(local_reply(fault.value, pages=pages))
    assert json.loads(program.body)["status"] == fault.value.status

"""Opt-outs: FakeWaybill and the application give the client the same answers."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import httpx
import pytest

from tests.clients.python.conftest import Server
from waybill_client import Invalid, NotFound, OptOut, Waybill, retries
from waybill_client.fake import FakeWaybill

# The contract does not depend on the database.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")

PERSON, OTHER = "+14155552671", "+14155552672"
SENDER = "+15005550006"
SERVICE = "MG" + "0a" * 16


def keys(opt_outs: Iterable[OptOut]) -> list[tuple[str, str]]:
    return [(each["number"], each["sender"]) for each in opt_outs]


@on_sqlite
def test_opt_out_has_every_field_of_its_type(waybill: Waybill) -> None:
    [opt_out] = waybill.opt_outs.begin(PERSON, SENDER)
    assert set(opt_out) == set(OptOut.__annotations__)
    assert (opt_out["number"], opt_out["sender"]) == (PERSON, SENDER)
    assert (opt_out["provider"], opt_out["reason"]) == ("twilio", "client")
    assert opt_out["changed_by"].startswith("client ")
    assert opt_out["error_code"] is None
    assert list(waybill.opt_outs.list()) == [opt_out]


@on_sqlite
def test_opt_out_without_a_sender_is_from_all(waybill: Waybill) -> None:
    [opt_out] = waybill.opt_outs.begin(PERSON)
    assert (opt_out["sender"], opt_out["provider"]) == ("*", "*")
    assert keys(waybill.opt_outs.begin(PERSON, "*")) == [(PERSON, "*")]


@on_sqlite
def test_begin_returns_all_opt_outs_of_the_person(waybill: Waybill) -> None:
    waybill.opt_outs.begin(OTHER)
    waybill.opt_outs.begin(PERSON, "whatsapp:" + SENDER)
    waybill.opt_outs.begin(PERSON, SENDER)
    everything = [(PERSON, "*"), (PERSON, SENDER), ("whatsapp:" + PERSON, "whatsapp:" + SENDER)]
    assert keys(waybill.opt_outs.begin(PERSON)) == everything
    assert keys(waybill.opt_outs.begin("whatsapp:" + PERSON, "whatsapp:" + SENDER)) == [
        everything[2]
    ]


SPELLINGS = [
    ("+1 (415) 555-2671", "+1 500 555 0006", (PERSON, SENDER)),
    ("+1 415/555-2671", SENDER, (PERSON, SENDER)),
    ("rcs:" + PERSON, SENDER, (PERSON, SENDER)),
    (PERSON, "RCS:acme.agent", (PERSON, "rcs:acme.agent")),
    ("WhatsApp: " + PERSON, "*", ("whatsapp:" + PERSON, "*")),
    (PERSON, "WhatsApp: " + SENDER, ("whatsapp:" + PERSON, "whatsapp:" + SENDER)),
    (PERSON, " 72345 ", (PERSON, "72345")),
    (PERSON, "Acme & Co", (PERSON, "Acme & Co")),
    (PERSON, SERVICE.replace("a", "A"), (PERSON, SERVICE)),
]


@on_sqlite
@pytest.mark.parametrize(("number", "sender", "opt_out"), SPELLINGS, ids=map(str, range(9)))
def test_spellings_mean_one_opt_out(
    waybill: Waybill, number: str, sender: str, opt_out: tuple[str, str]
) -> None:
    assert keys(waybill.opt_outs.begin(number, sender)) == [opt_out]
    assert keys(waybill.opt_outs.list(number=number, sender=sender)) == [opt_out]
    waybill.opt_outs.end(number, sender)
    assert list(waybill.opt_outs.list()) == []


@on_sqlite
def test_repeated_begin_is_one_opt_out(waybill: Waybill) -> None:
    for _ in range(2):
        assert keys(waybill.opt_outs.begin(PERSON, SENDER)) == [(PERSON, SENDER)]


@on_sqlite
def test_end_of_one_sender_leaves_the_others(waybill: Waybill) -> None:
    for sender in (None, SENDER, "ACME"):
        waybill.opt_outs.begin(PERSON, sender)
    waybill.opt_outs.end(PERSON, SENDER)
    waybill.opt_outs.end(PERSON, "*")
    assert keys(waybill.opt_outs.list()) == [(PERSON, "ACME")]


@on_sqlite
def test_end_without_a_sender_ends_all_of_the_person(waybill: Waybill) -> None:
    for sender in (None, SENDER, "whatsapp:" + SENDER):
        waybill.opt_outs.begin(PERSON, sender)
    waybill.opt_outs.begin(OTHER)
    waybill.opt_outs.end(PERSON)
    assert keys(waybill.opt_outs.list()) == [(OTHER, "*")]


@on_sqlite
def test_end_of_no_opt_out_is_not_found(waybill: Waybill) -> None:
    waybill.opt_outs.begin(PERSON, SENDER)
    for number, sender in ((OTHER, None), (PERSON, "ACME"), (PERSON, "*")):
        with pytest.raises(NotFound):
            waybill.opt_outs.end(number, sender)
    assert keys(waybill.opt_outs.list()) == [(PERSON, SENDER)]


INVALID: list[tuple[str, str | None, str]] = [
    ("everybody", None, "number"),
    ("4155552671", None, "number"),
    ("sms:" + PERSON, None, "number"),
    ("", None, "number"),
    (PERSON, "TWELVELETTER", "sender"),
    (PERSON, "+1500555CALL", "sender"),
    (PERSON, "pool:spring", "sender"),
    (PERSON, "", "sender"),
]


@on_sqlite
@pytest.mark.parametrize(("number", "sender", "wrong"), INVALID, ids=map(str, range(8)))
def test_invalid_number_or_sender_is_named(
    waybill: Waybill, number: str, sender: str | None, wrong: str
) -> None:
    waybill.opt_outs.begin(PERSON)
    for change in (waybill.opt_outs.begin, waybill.opt_outs.end):
        with pytest.raises(Invalid) as refused:
            change(number, sender)
        assert set(refused.value.errors) == {wrong}
    assert len(list(waybill.opt_outs.list())) == 1


@on_sqlite
def test_opt_out_list_has_all_pages_and_filters(waybill: Waybill) -> None:
    numbers = [f"+1415555267{digit}" for digit in (3, 1, 2, 0)]
    for number in numbers:
        waybill.opt_outs.begin(number, SENDER)
    for sender in ("ACME", "72345", None):
        waybill.opt_outs.begin(PERSON, sender)
    listed = list(islice(waybill.opt_outs.list(limit=2), 20))
    expected = [(number, SENDER) for number in numbers]
    expected += [(PERSON, "*"), (PERSON, "72345"), (PERSON, "ACME")]
    assert keys(listed) == sorted(expected)
    of_sender = islice(waybill.opt_outs.list(sender=SENDER, limit=1), 20)
    assert keys(of_sender) == sorted(expected[:4])
    of_person = islice(waybill.opt_outs.list(number="+1 415 555 2671", limit=3), 20)
    assert len(list(of_person)) == 4
    assert keys(waybill.opt_outs.list(number=PERSON, sender="*")) == [(PERSON, "*")]


@on_sqlite
def test_page_after_an_opt_out_that_ended_goes_on(waybill: Waybill) -> None:
    for sender in ("A", "B", "C", "D"):
        waybill.opt_outs.begin(PERSON, sender)
    seen = []
    for opt_out in islice(waybill.opt_outs.list(limit=2), 20):
        seen.append(opt_out["sender"])
        waybill.opt_outs.end(opt_out["number"], opt_out["sender"])
    assert seen == ["A", "B", "C", "D"]


@on_sqlite
@pytest.mark.parametrize(
    "filters",
    [{"number": "me"}, {"sender": "x" * 12}, {"limit": 201}, {"cursor": "x"}, {"to": "x"}],
)
def test_invalid_opt_out_filter_is_refused(waybill: Waybill, filters: Any) -> None:
    with pytest.raises(Invalid) as refused:
        list(waybill.opt_outs.list(**filters))
    assert set(refused.value.errors) == set(filters)


@on_sqlite
def test_keywords_of_a_person_change_opt_outs(waybill: Waybill, server: Server) -> None:
    server.deliver(waybill.send(to=PERSON, body="Hello")["id"])
    server.receive("STOP", PERSON)
    [opt_out] = waybill.opt_outs.list()
    assert keys([opt_out]) == [(PERSON, SENDER)]
    assert (opt_out["reason"], opt_out["changed_by"]) == ("keyword", "recipient")
    waybill.opt_outs.begin(PERSON)
    server.receive("START", PERSON)
    assert keys(waybill.opt_outs.list()) == [(PERSON, "*")]


# The client alone


def test_numbers_cannot_change_the_path() -> None:
    paths = list[bytes]()

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(204)

    waybill = Waybill("http://waybill.test", "k", transport=httpx.MockTransport(answer))
    waybill.opt_outs.end("whatsapp:+14155552671", "rcs:acme&sender=*")
    waybill.opt_outs.end("../messages?x=#")
    assert paths == [
        b"/v1/opt-outs/whatsapp%3A%2B14155552671?sender=rcs%3Aacme%26sender%3D%2A",
        b"/v1/opt-outs/..%20messages%3Fx%3D%23",
    ]


def test_end_after_a_lost_answer_has_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "sleep", lambda _: None)
    fake = FakeWaybill()
    waybill = fake.client()
    waybill.opt_outs.begin(PERSON)
    fake.lose_next_answer()
    waybill.opt_outs.end(PERSON)
    assert fake.opt_outs == []
    assert [method for method, _ in fake.requests] == ["PUT", "DELETE", "DELETE"]

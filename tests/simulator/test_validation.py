"""Validation of create requests, with Twilio's error codes."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.accounts import Account
from simulator.error_codes import ApiError
from simulator.validation import parse_order

SERVICE = "MG00000000000000000000000000000001"
ACCOUNT = Account("twilio", "AC00000000000000000000000000000001", "token")
VALID = {"To": "+15017122661", "From": "+15005550006", "Body": "Hello"}


def in_the_future(**delta):
    return f"{datetime.now(UTC) + timedelta(**delta):%Y-%m-%dT%H:%M:%SZ}"


def read(**changes):
    """Parse the valid form with some fields changed, or left out if None."""
    form = {name: value for name, value in {**VALID, **changes}.items() if value is not None}
    return parse_order({k: v if isinstance(v, list) else [v] for k, v in form.items()}, ACCOUNT)


SCHEDULED = {"MessagingServiceSid": SERVICE, "ScheduleType": "fixed"}

REJECTED = [
    (21604, {"To": None}),
    (21604, {"To": ""}),
    (21211, {"To": "12345678901"}),
    (21211, {"To": "+1501712266x"}),
    (21211, {"To": "fax:+15017122661"}),
    (21265, {"To": "20202"}),
    (21603, {"From": None}),
    (21212, {"From": "much too long a name"}),
    (21266, {"To": "+15005550006"}),
    (21705, {"MessagingServiceSid": "MG1"}),
    (21910, {"To": "whatsapp:+15017122661"}),
    (21602, {"Body": None}),
    (21602, {"Body": ""}),
    (21619, {"Body": None, "MediaUrl": ""}),
    (21617, {"Body": "x" * 1601}),
    (21617, {"Body": "\U0001f600" * 801}),
    (21623, {"MediaUrl": ["https://example.com/cat.png"] * 11}),
    (21620, {"MediaUrl": "cat.png"}),
    (21655, {"ContentSid": "HX1"}),
    (21656, {"ContentSid": "HX" + "0" * 32, "ContentVariables": "{"}),
    (21609, {"StatusCallback": "not a url"}),
    (21609, {"StatusCallback": "ftp://example.com/"}),
    (21609, {"StatusCallback": "https://under_score.example.com/"}),
    (21609, {"StatusCallback": "https://example.com:port/"}),
    (21609, {"StatusCallback": "https://example.com/" + "x" * 4000}),
    (21609, {"StatusCallback": "https://example.com/\r\nX-Evil: 1"}),
    (21624, {"ValidityPeriod": "0"}),
    (21624, {"ValidityPeriod": "36001"}),
    (21624, {"ValidityPeriod": "soon"}),
    (35111, SCHEDULED),
    (35114, SCHEDULED | {"SendAt": "tomorrow"}),
    (35115, SCHEDULED | {"SendAt": in_the_future(minutes=4)}),
    (35115, SCHEDULED | {"SendAt": in_the_future(days=36)}),
    (35117, {"MessagingServiceSid": SERVICE, "SendAt": in_the_future(hours=1)}),
    (35118, {"ScheduleType": "fixed", "SendAt": in_the_future(hours=1)}),
    # Twilio's magic numbers
    (21211, {"To": "+15005550001"}),
    (21612, {"To": "+15005550002"}),
    (21408, {"To": "+15005550003"}),
    (21610, {"To": "+15005550004"}),
    (21614, {"To": "+15005550009"}),
    (21212, {"From": "+15005550001"}),
    (21606, {"From": "+15005550007"}),
    (21611, {"From": "+15005550008"}),
    (21606, {"From": "+15005550000"}),
]


@pytest.mark.parametrize(("code", "changes"), REJECTED)
def test_invalid_request_is_rejected_with_twilios_code(code, changes):
    with pytest.raises(ApiError) as caught:
        read(**changes)
    assert caught.value.code == code
    assert caught.value.body["status"] == caught.value.status


@pytest.mark.parametrize(
    "changes",
    [
        {"From": "+14155550100"},
        {"From": "20202"},
        {"From": "Waybill"},
        {"From": None, "MessagingServiceSid": SERVICE},
        {"Body": "x" * 1600},
        {"Body": None, "MediaUrl": ["https://example.com/cat.png"] * 10},
        {"Body": None, "ContentSid": "HX" + "0" * 32, "ContentVariables": '{"1": "x"}'},
        {"StatusCallback": "http://web:8000/callbacks?m=01J#rc=5&rp=ct,rt,5xx"},
        {"StatusCallback": "http://[::1]:8000/"},
        {"ValidityPeriod": "36000"},
        {"To": "whatsapp:+15017122661", "From": "whatsapp:+14155238886"},
        {"To": "rcs:+15017122661", "From": "rcs:waybill_agent"},
        SCHEDULED | {"SendAt": in_the_future(minutes=30)},  # computed long before it is used
    ],
)
def test_valid_request_is_accepted(changes):
    assert read(**changes).to.endswith("+15017122661")


def test_from_may_name_a_messaging_service():
    order = read(From=SERVICE)
    assert (order.sender, order.service) == (None, SERVICE)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*VALID, "StatusCallback", "SendAt"]), st.text(max_size=40)))
def test_any_input_is_accepted_or_rejected(changes):
    with suppress(ApiError):
        read(**changes)

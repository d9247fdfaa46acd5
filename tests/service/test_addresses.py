"""Every accepted spelling of an address becomes one; everything else is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import addresses
from service.addresses import UnusableAddress, number, recipient, sender, service_or_sender

NUMBER = "+14155552671"
SERVICE = "MG" + "0" * 31 + "a"


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+14155552671", None, NUMBER),
        ("+14155552671", "GB", NUMBER),
        (" +1 (415) 555-2671 ", None, NUMBER),
        ("+1.415.555/2671", None, NUMBER),
        ("(+1) 415 555 2671", None, NUMBER),
        ("+1\u00a0415\u2009555\u20112671", None, NUMBER),
        ("+1 415 555\u20132671", None, NUMBER),
        ("\u202a+1 415 555 2671\u202c", None, NUMBER),
        ("\u200b+14155552671\ufeff", None, NUMBER),
        ("\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff12\uff16\uff17\uff11", None, NUMBER),
        ("+\u0661\u0664\u0661\u0665\u0665\u0665\u0665\u0662\u0666\u0667\u0661", None, NUMBER),
        ("415 555 2671", "US", NUMBER),
        ("1 415 555 2671", "US", NUMBER),
        ("011 44 20 7946 0018", "US", "+442079460018"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("00 1 415 555 2671", "GB", NUMBER),
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("+39 06 1234 5678", None, "+390612345678"),
        ("+5215512345678", None, "+525512345678"),
        ("+52 1 55 1234 5678", None, "+525512345678"),
        ("+525512345678", None, "+525512345678"),
        ("1 55 1234 5678", "MX", "+525512345678"),
        ("+54 11 15 2345 6789", None, "+5491123456789"),
        ("+551187654321", None, "+551187654321"),
        ("+15005550006", None, "+15005550006"),
        ("46701740605", "SE", "+46701740605"),
    ],
)
def test_number_is_normalised(text: str, region: str | None, expected: str) -> None:
    assert recipient(text, region) == expected
    assert number(text, region) == expected
    assert sender(text, region) == expected


@pytest.mark.parametrize("prefix", ["whatsapp:", "WhatsApp:", " whatsapp : ", "whatsapp\uff1a"])
def test_number_with_a_channel_is_normalised(prefix: str) -> None:
    assert recipient(f"{prefix}+1 415 555 2671") == f"whatsapp:{NUMBER}"
    assert sender(f"{prefix}(415) 555-2671", "US") == f"whatsapp:{NUMBER}"
    assert number(f"{prefix}+1 415 555 2671") == NUMBER


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("+1415555CALL", None, "letters"),
        ("+1-800-FLOWERS", None, "letters"),
        ("+14155552671 ext. 89", None, "extension"),
        ("+14155552671x89", None, "extension"),
        ("+14155552671#89", None, "extension"),
        ("+14155552671,,89", None, "extension"),
        ("+14155552671;ext=89", None, "extension"),
        ("+441111", None, "area code"),
        ("5552671", "US", "area code"),
        ("112", "DE", "area code"),
        ("+1415555267", None, "too short"),
        ("+141555526711", None, "too long"),
        ("+4912345678901234", None, "too long"),
        ("+22507123456", None, "too short"),
        ("+999123456789", None, "country code"),
        ("+0014155552671", None, "country code"),
        ("4155552671", None, "must begin with +"),
        ("0014155552671", None, "must begin with +"),
        ("+14155552671+14155552672", None, "one number"),
        ("+14155552671/+14155552672", None, "one number"),
        ("1+4155552671", None, "one number"),
        ("++14155552671", None, "one number"),
        ("+14155552671 or 72", None, "letters"),
        ("+1415555267\u00b9", None, "characters that no phone number has"),
        ("+1415555267*1", None, "characters that no phone number has"),
        ("+\u202e17625555141", None, "reverse"),
        ("4915112345678", "DE", "two numbers"),
        ("hello", "GB", "not a phone number"),
        ("+", None, "not a phone number"),
        ("", "GB", "not a phone number"),
        ("+" + "1" * 250, None, "not a phone number"),
        ("messenger:+14155552671", None, "unknown channel"),
        ("messenger:123", None, "unknown channel"),
        ("tel:+14155552671", None, "unknown channel"),
        ("sms:+14155552671", None, "unknown channel"),
        ("whatsapp:whatsapp:+14155552671", None, "letters"),
        ("whatsapp:+1415555CALL", None, "letters"),
        ("whatsapp:4155552671", None, "must begin with +"),
        ("whatsapp:", None, "not a phone number"),
        ("rcs:brand_agent", None, "not a phone number"),
        (":+14155552671", None, "unknown channel"),
        ("ACME", None, "not a phone number"),
        (SERVICE, None, "letters"),
    ],
)
def test_unusable_recipient_is_refused(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(UnusableAddress, match=reason.replace("+", r"\+")):
        recipient(text, region)


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("(500) 555-0006", "US", "+15005550006"),
        ("+1 500 555 0006", None, "+15005550006"),
        ("72345", None, "72345"),
        (" 72345 ", "US", "72345"),
        ("2012 3456", "DK", "+4520123456"),
        ("20123456", "DK", "+4520123456"),
        ("20123456", None, "20123456"),
        ("ACME", None, "ACME"),
        (" Acme & Sons", None, "Acme & Sons"),
        ("A1", None, "A1"),
        ("800-FLOWERS", None, "800-FLOWERS"),
        ("rcs:brand_agent", None, "rcs:brand_agent"),
        ("RCS: Brand.agent-1", None, "rcs:Brand.agent-1"),
        ("whatsapp:+1 (500) 555-0006", None, "whatsapp:+15005550006"),
    ],
)
def test_sender_is_normalised(text: str, region: str | None, expected: str) -> None:
    assert sender(text, region) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("TWELVELETTER", "12 characters"),
        ("Caf\u00e9", "invalid characters"),
        ("ACME!", "invalid characters"),
        ("ACME_\u20ac", "invalid characters"),
        ("whatsapp:ACME", "not a phone number"),
        ("whatsapp:72345", "must begin with"),
        ("rcs:", "id of an agent"),
        ("rcs:two words", "id of an agent"),
        ("messenger:123", "unknown channel"),
        (SERVICE, "messaging_service_sid"),
        (SERVICE.upper(), "messaging_service_sid"),
        ("PN" + "0" * 32, "is an id"),
        ("12", "country code"),
        ("123456789", "country code"),
        ("+12345", "is too short|area code"),
        ("&&&", "characters that no phone number has|not a phone number"),
    ],
)
def test_unusable_sender_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnusableAddress, match=reason):
        sender(text)


def test_messaging_service_id_gets_lower_case_digits() -> None:
    assert service_or_sender(f" {SERVICE.upper()} ") == SERVICE
    assert service_or_sender("+1 500 555 0006") == "+15005550006"


def test_number_matches_addresses_on_every_channel() -> None:
    assert addresses.addresses_of(NUMBER) == [NUMBER, f"whatsapp:{NUMBER}", f"rcs:{NUMBER}"]
    assert addresses.addresses_of(f"rcs:{NUMBER}") == [f"rcs:{NUMBER}"]


TEXTS = st.text() | st.text("+0123456789 ()-./:;x\u200e\u0661whatsprc", max_size=24)


@given(TEXTS, st.sampled_from([None, "US", "GB", "DE", "MX", "AR", "BR", "IT"]))
def test_normalising_twice_changes_nothing(text: str, region: str | None) -> None:
    for spelled in (recipient, sender):
        try:
            once = spelled(text, region)
        except UnusableAddress:
            continue
        assert spelled(once, None) == once
        assert spelled(once, region) == once


@given(st.text("0123456789", min_size=6, max_size=15), st.text(" ()-./\u00a0\u200e", max_size=4))
def test_separators_do_not_change_a_number(digits: str, between: str) -> None:
    def read(text: str) -> str | None:
        try:
            return recipient(text)
        except UnusableAddress:
            return None

    plain = "+" + digits
    assert read("+" + between.join(digits)) == read(plain)

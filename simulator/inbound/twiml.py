"""How Twilio reads the answer to an inbound message.

https://www.twilio.com/docs/messaging/twiml, https://www.twilio.com/docs/api/errors/12100
"""

from typing import Final, NamedTuple
from xml.etree import ElementTree

from simulator.message import Try

_XML: Final = frozenset({"text/xml", "application/xml", "text/html"})
_PARSE_FAILURE: Final = 12100
_CONTENT_TYPE: Final = 12300


class TwimlResult(NamedTuple):
    """The texts that Twilio sends to the person, or the code of its error."""

    texts: tuple[str, ...] = ()
    error_code: int | None = None


def read_answer(entry: Try) -> TwimlResult:
    """Read an answer: plain text is sent to the person, XML is a document with messages."""
    content_type = (entry.answer_type or "").partition(";")[0].strip().lower()
    body = (entry.answer_body or "").strip()
    if not body or entry.answer is None or entry.answer // 100 != 2:
        return TwimlResult()
    if content_type == "text/plain":
        return TwimlResult((body,))
    return _read_document(body) if content_type in _XML else TwimlResult((), _CONTENT_TYPE)


def _read_document(body: str) -> TwimlResult:
    try:
        document = ElementTree.fromstring(body)  # noqa: S314 - from the server under test
    except ElementTree.ParseError:
        return TwimlResult((), _PARSE_FAILURE)
    if document.tag != "Response":
        return TwimlResult((), _PARSE_FAILURE)
    return TwimlResult(tuple("".join(each.itertext()) for each in document.iter("Message")))

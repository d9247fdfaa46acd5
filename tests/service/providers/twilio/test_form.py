"""Forms are parsed like Python's own library does."""

from urllib.parse import parse_qsl, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from service.providers.twilio.reports import form_fields

# What matters to a reader, drawn often enough to meet.
wire = st.text(st.sampled_from("ab=&%+2Bf0\x00;é€") | st.characters(exclude_categories=["Cs"]))


@given(wire)
@example("a=%C3%A9&b=%C3&c=%zz&d=%")
@example("a=1&&=&a&=b&a=b=c")
def test_any_text_is_parsed_like_the_library_does(text: str) -> None:
    assert form_fields(text) == parse_qsl(text, keep_blank_values=True)


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=5))))
def test_form_is_parsed_as_written(pairs: list[tuple[str, str]]) -> None:
    """All text but surrogates, which a form cannot contain."""
    written = [(name, value.encode(errors="replace").decode()) for name, value in pairs]

    assert form_fields(urlencode(written)) == written

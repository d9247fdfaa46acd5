"""Twilio's error codes: an explanation, and whether a resend could succeed.

Source: https://www.twilio.com/docs/api/errors (one page per code below that address). Twilio
changes its codes and advises against logic that depends on them, so a code that is not listed is
permanent. So is a code with an unknown outcome, because a resend could deliver twice.
"""

from collections.abc import Mapping
from typing import Final

from service.errors import ErrorFact


def _final(explanation: str) -> ErrorFact:
    return ErrorFact(explanation, retryable=False)


def _again(explanation: str) -> ErrorFact:
    return ErrorFact(explanation, retryable=True)


def _opted_out(explanation: str) -> ErrorFact:
    return ErrorFact(explanation, retryable=False, opted_out=True)


UNKNOWN: Final = _final("This Twilio code is not in our list. Look it up before you resend.")

ERRORS: Final[Mapping[str, ErrorFact]] = {
    # API answers: the request as a whole
    "14107": _again("Too many replies between these two numbers. Resend after 30 seconds."),
    "20003": _final("Twilio did not accept our credentials. Stop sending and correct them."),
    "20404": _final("Twilio has no such resource. Check the account and ids in the settings."),
    "20429": _again("Too many requests at once; nothing was sent. Resend after a growing pause."),
    "20500": _final("Twilio failed, but the message may have arrived. Check before resending."),
    "20503": _final("Twilio was unavailable; the text may have arrived. Check before resending."),
    # API answers: recipient, sender, content
    "21211": _final("The recipient's number is not valid. Correct it."),
    "21212": _final("The sender is not valid. Correct it in the settings."),
    "21265": _final("The recipient is a short code. Use a full phone number."),
    "21266": _final("Recipient and sender are the same number. Correct one of them."),
    "21408": _final("Sending to this region is not enabled. Enable it in the Twilio console."),
    "21601": _final("The sender cannot send SMS. Choose a sender that can."),
    "21602": _final("The message has neither text nor media. Add one."),
    "21603": _final("The message has neither a sender nor a Messaging Service. Configure one."),
    "21604": _final("The message has no recipient. Add a phone number."),
    "21606": _final("The sender is not a number of this account. Choose one that is."),
    "21608": _final("A trial account reaches verified numbers only. Verify this one, or upgrade."),
    "21609": _final("The callback address is not a valid URL. Correct it in the settings."),
    "21610": _opted_out(
        "The recipient opted out. Never resend; only the recipient can opt in again."
    ),
    "21611": _again("The queue of this sender is full. Resend later."),
    "21612": _final("Twilio cannot reach this recipient from this sender. Another sender may."),
    "21614": _final("The recipient's number is not a mobile number. Ask for one."),
    "21617": _final("The text is longer than 1,600 characters. Shorten it."),
    "21619": _final("The message has neither text nor media. Add one."),
    "21620": _final("The media address is not a valid URL. Correct it."),
    "21621": _final("This sender cannot send media. Send text only, or choose another sender."),
    "21624": _final("The validity period is outside what Twilio allows. Correct it."),
    "21635": _final("The recipient's number is a landline. Ask for a mobile number."),
    "21654": _final("Template variables came without a content template. Name the template."),
    "21655": _final("The id of the content template is not valid. Correct it."),
    "21656": _final("The variables of the content template are not valid. Correct them."),
    "21659": _final("The sender is not a Twilio number, or of the wrong country. Choose another."),
    "21701": _final("The Messaging Service does not exist in this account. Correct its id."),
    "21702": _final("The Messaging Service is missing, empty or has no usable sender. Check it."),
    "21703": _final("The Messaging Service is missing, empty or has no usable sender. Check it."),
    "21704": _final("The Messaging Service is missing, empty or has no usable sender. Check it."),
    "21705": _final("The id of the Messaging Service is not valid. Correct it in the settings."),
    "21730": _again("Twilio is under maintenance. Resend later."),
    "21910": _final("Sender and recipient are on different channels. Use one channel for both."),
    # Delivery: errors of an accepted message at Twilio and the carriers
    "30001": _again("Too much at once for this sender; its queue overflowed. Resend more slowly."),
    "30002": _final("The Twilio account was suspended. Settle that with Twilio before resending."),
    "30003": _again("The phone is off, out of reach or gone. Resend in some hours, a few times."),
    "30004": _final("The recipient or the carrier blocks this message. Ask the recipient."),
    "30005": _final("The number is unknown or no longer in service. Ask for another."),
    "30006": _final("The number is a landline, or its carrier is out of reach of this sender."),
    "30007": _final("Filtered as spam or breach of policy. Change the text; a resend does harm."),
    "30008": _again("Delivery failed for an unknown reason. Resend once at most."),
    "30009": _final("A part of an incoming message never arrived. There is nothing to resend."),
    "30010": _final("The message cost more than the maximum price. Raise or remove that limit."),
    "30011": _final("The recipient's network takes no media. Send it as plain SMS."),
    "30012": _again("The validity period is too short for the carrier. Resend with a longer one."),
    "30017": _again("The carrier's network is congested. Resend later."),
    "30018": _final("The destination wants senders registered beforehand. Register this one."),
    "30019": _final("The message is larger than the carrier allows. Shorten it."),
    "30020": _again("Twilio had an internal error. Resend, a few times at most."),
    "30021": _again("Twilio had an internal error. Resend, a few times at most."),
    "30022": _again("The US rate limit (10DLC) of this sender was exceeded. Resend more slowly."),
    "30023": _again("The sender's daily limit is reached. Resend the next day, US Pacific time."),
    "30024": _again("The carrier has not set up this sender yet. Resend later."),
    "30027": _again("The brand's daily limit at T-Mobile is reached. Resend the next day."),
    "30032": _final("The toll-free sender is not verified. Have it verified by Twilio first."),
    "30033": _final("The sender's US campaign (10DLC) is suspended. Settle that with Twilio."),
    "30034": _final("The sender is not registered for US traffic (10DLC). Register it first."),
    "30035": _again("The sender is still being set up. Resend later."),
    "30036": _again("The message expired while queued. Resend it if it is still useful."),
    "30037": _final("Outbound messaging seems to be disabled for this account. Ask Twilio."),
    "30038": _final("Filtered because it carries a one-time passcode. Do not resend."),
    "30039": _final("Filtered because it looks like a message loop. Do not resend."),
    "30042": _final("The sender id is too generic, or blocked. Choose another."),
    "30410": _final("The provider timed out; the text may have arrived. Check before resending."),
    "30450": _again("Blocked for now against SMS pumping. Resend after 30 minutes."),
    "30453": _final("Blocked as suspected fraud. Clear that up before sending there again."),
    "30500": _again("Twilio had an internal error. Resend, a few times at most."),
    "30615": _again("It is quiet hours where the recipient lives. Resend at a permitted hour."),
    # API answers: scheduling
    "35111": _final("A scheduled message has no time to send at. Add it."),
    "35114": _final("The scheduled time is not valid or outside Twilio's window. Change it."),
    "35115": _final("The scheduled time is not valid or outside Twilio's window. Change it."),
    "35117": _final("Parameters of the scheduling are missing or do not fit. Correct them."),
    "35118": _final("Scheduling needs a Messaging Service. Configure one."),
    # Delivery: errors of other carriers
    "60005": _again("Another carrier failed. Resend, a few times at most."),
    # Channels: WhatsApp, RCS and the like
    "63001": _final("The channel did not accept the credentials. Correct them at Twilio."),
    "63003": _final("The recipient's address is not valid for this channel. Correct it."),
    "63005": _final("The channel refused the content. Change it."),
    "63007": _final("No channel is set up for this sender. Set it up at Twilio."),
    "63009": _again("The channel's provider had an error. Resend, a few times at most."),
    "63010": _again("Twilio had an internal error. Resend, a few times at most."),
    "63012": _again("The channel's provider had an internal error. Resend, a few times at most."),
    "63013": _final("The message breaches the channel's policy. Change it."),
    "63014": _final("The recipient blocked this sender. Do not resend."),
    "63015": _final("The recipient has not joined the sandbox. Ask them to join it."),
    "63016": _final("Outside the window for free-form messages. Use an approved template."),
    "63017": _again("The overall rate limit of the channel was exceeded. Resend more slowly."),
    "63018": _again("The channel's rate limit was exceeded. Resend more slowly."),
    "63019": _again("The media could not be downloaded. Check its address, then resend."),
    "63021": _final("The channel refused the content. Change it."),
    "63023": _again("The channel failed for an unknown reason. Resend once at most."),
    "63024": _final("The recipient is not valid on this channel. Use another number or channel."),
    "63026": _final("Rejected, or reported as spam. Do not resend."),
    "63032": _final("WhatsApp limits messages to this recipient. Use another channel."),
    "63033": _final("The recipient is blocked. Do not resend."),
    "63036": _again("The phone cannot be reached by RCS. Resend later, or send it as SMS."),
    "63038": _again("The daily limit is reached. Resend the next day."),
    "63049": _again("Meta withheld this marketing text. Never resend in the US; elsewhere, later."),
}


def explain(code: str) -> ErrorFact:
    """Return the explanation of a code, or `UNKNOWN`."""
    return ERRORS.get(code, UNKNOWN)

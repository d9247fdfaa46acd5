"""A Waybill for tests: in the process, without a network, with the answers of the real one."""

from waybill_client.fake.endpoints import WebhookRequest
from waybill_client.fake.server import FakeWaybill

__all__ = ["FakeWaybill", "WebhookRequest"]

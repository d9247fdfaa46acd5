"""Keys of the installation."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.models.types import UtcDateTime


class InstallationKey(Model):
    """A random key that all replicas share, for an installation without `OPS_SECRET`."""

    __tablename__ = "installation_key"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

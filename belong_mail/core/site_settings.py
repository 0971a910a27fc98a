"""Settings that the office may change on a page; the environment has the defaults.

A stored value is valid only if the environment could have it, too. The worker notifies the office
of a change before it uses the value, so that an intruder's change is noticed. Neither secrets nor
encrypted addresses are stored here.
"""

from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core import audit
from belong_mail.core.db import Base
from belong_mail.core.services import Settings

# Settings that the office may change.
EDITABLE: Final = ("video_url", "help_lines", "postal_address")
# Signs of a link, which a postal address does not have.
LINK_SIGNS: Final = ("@", "://", "www.")


class SiteSetting(Base):
    """A changed setting; None stands for the environment's value."""

    __tablename__ = "site_settings"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None]
    # The value that the office was last notified of.
    announced: Mapped[str | None]


CHANGES = select(SiteSetting.name, SiteSetting.value)
# Values that the office was notified of. A change in a locked row is neither announced nor used.
ANNOUNCED = select(SiteSetting.name, SiteSetting.announced)


def with_changes(
    session: Session, settings: Settings, changes: Select[str, str | None] = CHANGES
) -> Settings:
    """Return the settings with the office's changes; the worker uses those that are `ANNOUNCED`."""
    valid = {}
    for name, value in session.execute(changes):
        with suppress(ValueError):
            if value is not None:
                valid[name] = parse(settings, name, value)
    return replace(settings, **valid) if valid else settings


def parse(settings: Settings, name: str, value: str) -> Any:
    """Parse a value as the environment's would be. Raises ValueError."""
    if name not in EDITABLE or not value:
        raise ValueError(name)
    if name == "postal_address" and any(sign in value.casefold() for sign in LINK_SIGNS):
        raise ValueError(name)
    [read] = [each.metadata["read"] for each in fields(settings) if each.name == name]
    return read(value)


def change(session: Session, settings: Settings, name: str, value: str) -> None:
    """Change a setting; an empty value restores the environment's. Raises ValueError."""
    is_default = value in {"", str(getattr(settings, name))}
    if not is_default:
        parse(settings, name, value)
    store(session, name, None if is_default else value)


def store(session: Session, name: str, value: str | None) -> None:
    """Store a changed value, and record the change."""
    found = session.get(SiteSetting, name)
    if value == (found.value if found is not None else None):
        return
    if found is None:
        found = SiteSetting(name=name)
        session.add(found)
    found.value = value
    audit.record(session, audit.Kind.SETTING_CHANGED, detail=name)
    session.flush()


def unannounced(session: Session) -> list[SiteSetting]:
    """Return unannounced changes, except those that another worker is announcing."""
    listed = select(SiteSetting).order_by(SiteSetting.name)
    locked = listed.with_for_update(skip_locked=True)
    found = session.scalars(locked.execution_options(populate_existing=True))
    return [each for each in found if each.announced != each.value]

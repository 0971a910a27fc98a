"""What the worker must know of the office."""

from belong_mail.core.site_settings import WRAPPED_COLUMN, SiteSetting
from belong_mail.delivery.room import Room, WrappedColumn
from belong_mail.office import alert_address, settings_tasks

OFFICE = Room(
    emails={
        settings_tasks.SETTINGS_CHANGED: settings_tasks.settings_changed_email,
        settings_tasks.COPIES_END: settings_tasks.copies_end_email,
        settings_tasks.ALERTS_CHANGED: settings_tasks.alerts_changed_email,
    },
    tasks={alert_address.JOB: settings_tasks.receive_alert_address},
    wrapped=(WrappedColumn(SiteSetting.wrapped, WRAPPED_COLUMN, SiteSetting.name),),
)

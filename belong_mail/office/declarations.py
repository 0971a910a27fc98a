"""The worker's entries for the office."""

from belong_mail.delivery.room import Room
from belong_mail.office import group_retirement_tasks, settings_tasks

OFFICE = Room(
    emails={
        settings_tasks.SETTINGS_CHANGED: settings_tasks.settings_changed_email,
        group_retirement_tasks.GROUP_ENDS: group_retirement_tasks.group_ends_email,
    },
)

"""The mailbox that a group's leads share: proposed by a lead, confirmed there and by that lead."""

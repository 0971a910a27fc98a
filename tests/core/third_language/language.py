"""The language that is added."""

CODE, NAME = "eo", "Esperanto"
# Before each sentence, so that a page shows which language it is from.
MARK = "Ĵ "

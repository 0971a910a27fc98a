"""New colleagues: a page, a sheet, posters, and a mail to pass on."""

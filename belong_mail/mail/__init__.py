"""Messages, the SMTP client and bounce reports: no Flask, no database, no other room."""

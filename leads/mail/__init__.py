"""Sending mail, by SMTP or Microsoft Graph."""

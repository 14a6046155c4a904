"""Marketplace leads: every lead reaches the people and the CRM it belongs to, and none is lost."""

__version__ = "0.1.0"

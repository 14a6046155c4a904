"""Bytes or a row become a lead, and are kept."""

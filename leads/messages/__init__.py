"""What people read: notifications, alerts and the digest, in their language."""

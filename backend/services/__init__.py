"""What the product does, without HTTP and without commands."""

# Before any service works: from here on, what a session writes is in the audit log.
from backend.services import audit as _audit  # noqa: F401

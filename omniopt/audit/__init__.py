"""The independent check of a plan; it shares no code with what makes plans."""

from omniopt.audit.report import Verification
from omniopt.audit.verify import verify

__all__ = ["Verification", "verify"]

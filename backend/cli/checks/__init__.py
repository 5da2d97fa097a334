"""Commands on checks, risk and judges."""

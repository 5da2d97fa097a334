"""What every way in shares: the pages of sign-in, and a new session."""

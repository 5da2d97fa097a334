"""Who is signed in, one's own account, and who did what."""

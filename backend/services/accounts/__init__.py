"""People and programs: users, sign-in, passwords, tokens, who may reach what, secrets at rest."""

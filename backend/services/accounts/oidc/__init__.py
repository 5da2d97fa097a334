"""Sign-in at an OpenID provider (OpenID Connect Core 1.0, by the authorization code with PKCE).

registration (the settings) -> provider (its documents and endpoints) -> tokens (what is believed of
them) -> roles (groups to roles and projects) -> identities (who that is here, and since when not).
"""

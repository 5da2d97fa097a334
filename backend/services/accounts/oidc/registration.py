"""How this installation is known at its OpenID provider, as the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from backend.errors import InvalidInput
from backend.settings import Settings

CALLBACK_PATH = "/api/v1/oidc/callback"
SIGNED_OUT_PATH = "/api/v1/login"


@dataclass(frozen=True, slots=True)
class Registration:
    """The provider, our name and secret there, and what its groups mean here.

    `roles` gives a role to each group that has one; `projects` the names of the projects whose
    members the people of a group are.
    """

    issuer: str
    client_id: str
    client_secret: SecretStr | None
    public_url: str
    label: str = "your organisation"
    scopes: str = "openid profile"
    groups_claim: str = "groups"
    name_claim: str = "preferred_username"
    roles: Mapping[str, str] = field(default_factory=dict)
    projects: Mapping[str, list[str]] = field(default_factory=dict)
    timeout_seconds: float = 10.0

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends the browser back to; registered there letter by letter."""
        return self.public_url + CALLBACK_PATH

    @property
    def signed_out_uri(self) -> str:
        """Where the provider may send the browser after a sign-out there."""
        return self.public_url + SIGNED_OUT_PATH


def registration_of(settings: Settings) -> Registration | None:
    """The registration, None where no provider is set.

    Raises:
        InvalidInput: the file of the secret cannot be read, or is empty.
    """
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    return Registration(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=_secret(settings),
        public_url=settings.address,
        label=settings.oidc_label,
        scopes=settings.oidc_scopes,
        groups_claim=settings.oidc_groups_claim,
        name_claim=settings.oidc_name_claim,
        roles=settings.oidc_roles,
        projects=settings.oidc_projects,
        timeout_seconds=settings.oidc_timeout_seconds,
    )


def _secret(settings: Settings) -> SecretStr | None:
    if (file := settings.oidc_client_secret_file) is None:
        return settings.oidc_client_secret
    try:
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if not found:
        raise InvalidInput(
            f"STROP_OIDC_CLIENT_SECRET_FILE ({file}) cannot be read, or is empty.",
            hint="Write the client's secret into it, readable for this user alone.",
        )
    return SecretStr(found)

"""People, their sign-in, and the tokens of programs. No hash and no secret but at its making."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, SecretStr

from backend.schemas.common import NAME_PATTERN, RequestBody, ResponseBody
from backend.schemas.projects import ProjectOut

# Hidden wherever it is printed; the client sends it in the body of a request.
Sent = Annotated[
    SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), when_used="json")
]
RoleName = Literal["admin", "lead", "engineer", "expert"]


class UserOut(ResponseBody):
    """A person as admins and engineers of the project see them."""

    id: int
    name: str
    pseudonym: str
    role: RoleName
    active: bool
    second_factor_required: bool
    simulated: bool
    created_at: datetime


class Me(ResponseBody):
    """Who is signed in, and the projects that they may see (none for an expert)."""

    id: int
    name: str
    pseudonym: str
    role: RoleName
    projects: list[ProjectOut]


class UserIn(RequestBody):
    """A new person. An engineer or expert without a project reaches nothing."""

    name: str = Field(min_length=1, max_length=120, pattern=NAME_PATTERN)
    role: RoleName
    password: SecretStr | None = Field(None, min_length=12, max_length=1000)
    project_ids: list[int] = Field(default_factory=list, max_length=100)


class TokenIn(RequestBody):
    """A token for a program that acts as the person who asks for it."""

    name: str = Field(min_length=1, max_length=120)
    days: int | None = Field(90, ge=1, le=3650, description="Life in days; null never expires.")


class TokenOut(ResponseBody):
    """A token without its secret."""

    id: int
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenCreated(TokenOut):
    """A new token; the secret is shown this once."""

    secret: str


class UserChanged(RequestBody):
    """What an admin changes of a person; what is left out stays."""

    role: RoleName | None = None
    active: bool | None = None
    second_factor_required: bool | None = None


class PasswordChanged(RequestBody):
    """One's own password, and the new one."""

    current: SecretStr = Field(max_length=1000)
    new: SecretStr = Field(min_length=12, max_length=1000)


class SessionOut(ResponseBody):
    """A browser in which I am signed in; `current` is the one that asks."""

    id: int
    method: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool = False


class SignInWays(ResponseBody):
    """By what people sign in: passwords, and a provider, which the button names."""

    passwords: Literal["on", "off", "admins-only"]
    provider: str | None


class SecondFactorOut(ResponseBody):
    """A person's second factor; `offered` only to those who have a password here."""

    offered: bool
    on: bool
    required: bool
    recovery_codes_left: int


class EnrolmentOut(ResponseBody):
    """What an authenticator app is given, shown this once; `qr_svg` draws the `otpauth:` `uri`."""

    secret: str
    uri: str
    qr_svg: str


class PasswordIn(RequestBody):
    """One's own password, to show that it is oneself."""

    password: Sent = Field(max_length=1000)


class CodeIn(RequestBody):
    """A code of the authenticator."""

    code: Sent = Field(max_length=40)


class RecoveryCodes(ResponseBody):
    """Codes that each stand in for the authenticator once; shown this once."""

    codes: list[str]


class LinkIn(RequestBody):
    """A link for a person to set a new password."""

    hours: int = Field(24, ge=1, le=168, description="Hours for which the link is good.")


class LinkCreated(ResponseBody):
    """A new link, shown this once."""

    url: str
    expires_at: datetime

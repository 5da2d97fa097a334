"""Who is signed in, and the members of projects."""

from __future__ import annotations

from pydantic import SecretStr

from backend.client.wire import Resource
from backend.schemas import accounts as users


class Accounts(Resource):
    """Who is signed in, and the members of projects."""

    def me(self) -> users.Me:
        """Who is signed in."""
        return self._get(users.Me, "/v1/me")

    def sign_in_ways(self) -> users.SignInWays:
        """By what people sign in."""
        return self._get(users.SignInWays, "/v1/sign-in-ways")

    def sign_out(self) -> str | None:
        """End the session on the server; the cookie is worth nothing afterwards.

        Returns:
            Where a browser ends its session at the provider, if it came by one.
        """
        response = self._send("POST", "/v1/logout")
        target = str(response.headers.get("location", ""))
        return target if target.startswith(("https://", "http://")) else None

    def second_factor(self) -> users.SecondFactorOut:
        """Whether I have a second factor, and must."""
        return self._get(users.SecondFactorOut, "/v1/me/second-factor")

    def begin_second_factor(self, password: str) -> users.EnrolmentOut:
        """A secret for my authenticator; it counts once a first code of it was right."""
        body = users.PasswordIn(password=SecretStr(password))
        return self._post(users.EnrolmentOut, "/v1/me/second-factor", body)

    def confirm_second_factor(self, code: str) -> users.RecoveryCodes:
        """Turn it on; the recovery codes are told this once."""
        body = users.CodeIn(code=SecretStr(code))
        return self._post(users.RecoveryCodes, "/v1/me/second-factor/confirm", body)

    def remove_second_factor(self, password: str) -> users.SecondFactorOut:
        """Take my second factor away."""
        body = users.PasswordIn(password=SecretStr(password))
        return self._post(users.SecondFactorOut, "/v1/me/second-factor/remove", body)

    def make_reset_link(self, user_id: int, *, hours: int = 24) -> users.LinkCreated:
        """A link by which a person sets a new password; for admins."""
        body = users.LinkIn(hours=hours)
        return self._post(users.LinkCreated, f"/v1/users/{user_id}/reset-links", body)

    def remove_second_factor_of(self, user_id: int) -> users.UserOut:
        """Take a person's second factor away; for admins."""
        return self._delete(users.UserOut, f"/v1/users/{user_id}/second-factor")

    def members(self, project_id: int) -> list[users.UserOut]:
        """The members of a project."""
        return self._list(users.UserOut, f"/v1/projects/{project_id}/users")

"""Who is signed in, and the members of projects."""

from __future__ import annotations

from pydantic import SecretStr

from backend.client.wire import Resource
from backend.schemas import accounts as users


class Accounts(Resource):
    """Who is signed in, and the members of projects."""

    def me(self) -> users.Me:
        """Who is signed in."""
        return self._wire.get(users.Me, "/v1/me")

    def sign_in_ways(self) -> users.SignInWays:
        """By what people sign in."""
        return self._wire.get(users.SignInWays, "/v1/sign-in-ways")

    def sign_out(self) -> str | None:
        """End the session on the server; the cookie is worth nothing afterwards.

        Returns:
            Where a browser ends its session at the provider, if it came by one.
        """
        response = self._wire.send("POST", "/v1/logout")
        target = str(response.headers.get("location", ""))
        return target if target.startswith(("https://", "http://")) else None

    def second_factor(self) -> users.SecondFactorShown:
        """Whether I have a second factor, and must."""
        return self._wire.get(users.SecondFactorShown, "/v1/me/second-factor")

    def begin_second_factor(self, password: str) -> users.EnrolmentShown:
        """A secret for my authenticator; it counts once a first code of it was right."""
        body = users.PasswordGiven(password=SecretStr(password))
        return self._wire.post(users.EnrolmentShown, "/v1/me/second-factor", body)

    def confirm_second_factor(self, code: str) -> users.RecoveryCodes:
        """Turn it on; the recovery codes are told this once."""
        body = users.CodeGiven(code=SecretStr(code))
        return self._wire.post(users.RecoveryCodes, "/v1/me/second-factor/confirm", body)

    def remove_second_factor(self, password: str) -> users.SecondFactorShown:
        """Take my second factor away."""
        body = users.PasswordGiven(password=SecretStr(password))
        return self._wire.post(users.SecondFactorShown, "/v1/me/second-factor/remove", body)

    def make_reset_link(self, user_id: int, *, hours: int = 24) -> users.LinkMade:
        """A link by which a person sets a new password; for admins."""
        body = users.LinkGiven(hours=hours)
        return self._wire.post(users.LinkMade, f"/v1/users/{user_id}/reset-links", body)

    def remove_second_factor_of(self, user_id: int) -> users.UserShown:
        """Take a person's second factor away; for admins."""
        return self._wire.delete(users.UserShown, f"/v1/users/{user_id}/second-factor")

    def members(self, project_id: int) -> list[users.UserShown]:
        """The members of a project."""
        return self._wire.get_list(users.UserShown, f"/v1/projects/{project_id}/users")

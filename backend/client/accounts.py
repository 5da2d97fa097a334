"""Who is signed in, and the members of projects."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import accounts as users


class Accounts(Resource):
    """Who is signed in, and the members of projects."""

    def me(self) -> users.Me:
        """Who is signed in."""
        return self._wire.get(users.Me, "/v1/me")

    def sign_out(self) -> None:
        """End the session on the server; the cookie is worth nothing afterwards."""
        self._wire.send("POST", "/v1/logout")

    def members(self, project_id: int) -> list[users.UserShown]:
        """The members of a project."""
        return self._wire.get_list(users.UserShown, f"/v1/projects/{project_id}/users")

"""Projects, and the bar in its versions."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import projects


class Projects(Resource):
    """Projects, and the bar in its versions."""

    def get(self, project_id: int) -> projects.ProjectShown:
        """One project that I may see."""
        return self._wire.get(projects.ProjectShown, f"/v1/projects/{project_id}")

    def create(self, body: projects.ProjectGiven) -> projects.ProjectShown:
        """A new project."""
        return self._wire.create(projects.ProjectShown, "/v1/projects", body)

    def manifests(self, project_id: int) -> list[projects.ManifestShown]:
        """All versions of the bar; the last one stands."""
        return self._wire.get_list(projects.ManifestShown, f"/v1/projects/{project_id}/manifests")

    def set_manifest(self, project_id: int, source: str) -> projects.ManifestShown:
        """Set the bar."""
        body = projects.ManifestGiven(source=source)
        return self._wire.create(
            projects.ManifestShown, f"/v1/projects/{project_id}/manifests", body
        )

    def kinds(self) -> projects.KindsShown:
        """What may be named in requests: engines, formats of training rows, targets, phases."""
        return self._wire.get(projects.KindsShown, "/v1/kinds")

    def list(self) -> list[projects.ProjectShown]:
        """The projects that I may see."""
        return self._wire.get_list(projects.ProjectShown, "/v1/projects")

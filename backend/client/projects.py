"""Projects, and the bar in its versions."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import projects


class Projects(Resource):
    """Projects, and the bar in its versions."""

    def get(self, project_id: int) -> projects.ProjectOut:
        """One project that I may see."""
        return self._get(projects.ProjectOut, f"/v1/projects/{project_id}")

    def create(self, body: projects.ProjectIn) -> projects.ProjectOut:
        """A new project."""
        return self._create(projects.ProjectOut, "/v1/projects", body)

    def manifests(self, project_id: int) -> list[projects.ManifestOut]:
        """All versions of the bar; the last one stands."""
        return self._list(projects.ManifestOut, f"/v1/projects/{project_id}/manifests")

    def set_manifest(self, project_id: int, source: str) -> projects.ManifestOut:
        """Set the bar."""
        body = projects.ManifestIn(source=source)
        return self._create(projects.ManifestOut, f"/v1/projects/{project_id}/manifests", body)

    def kinds(self) -> projects.KindsOut:
        """What may be named in requests: engines, formats of training rows, targets, phases."""
        return self._get(projects.KindsOut, "/v1/kinds")

    def list(self) -> list[projects.ProjectOut]:
        """The projects that I may see."""
        return self._list(projects.ProjectOut, "/v1/projects")

"""Masking: the policy, what was found, originals."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import masking


class Masking(Resource):
    """Masking: the policy, what was found, originals."""

    def show(self, project_id: int) -> masking.MaskingOut:
        """The masking policy, and how much of which kind it found."""
        return self._get(masking.MaskingOut, f"/v1/projects/{project_id}/masking")

    def set_policy(
        self, project_id: int, body: masking.MaskingPolicyIn
    ) -> masking.MaskingPolicyOut:
        """Set the masking policy."""
        path = f"/v1/projects/{project_id}/masking-policies"
        return self._create(masking.MaskingPolicyOut, path, body)

    def original(self, example_id: int) -> masking.OriginalOut:
        """The row from which a masked example was made; the look is recorded."""
        return self._get(masking.OriginalOut, f"/v1/examples/{example_id}/original")

"""Prompts in versions."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import prompts


class Prompts(Resource):
    """Prompts in versions, and what they make of an example."""

    def add(self, project_id: int, body: prompts.PromptIn) -> prompts.PromptOut:
        """Keep a prompt; the same content is the version that stands."""
        return self._create(prompts.PromptOut, f"/v1/projects/{project_id}/prompts", body)

    def get(self, prompt_id: int) -> prompts.PromptOut:
        """One version of a prompt."""
        return self._get(prompts.PromptOut, f"/v1/prompts/{prompt_id}")

    def diff(self, prompt_id: int, *, against: int) -> prompts.PromptDiff:
        """What differs from an older prompt."""
        return self._get(prompts.PromptDiff, f"/v1/prompts/{prompt_id}/diff", against=against)

    def render(self, prompt_id: int, *, example_id: int) -> prompts.RenderedPrompt:
        """The messages that a prompt makes of an example."""
        path = f"/v1/prompts/{prompt_id}/messages"
        return self._get(prompts.RenderedPrompt, path, example_id=example_id)

    def list(self, project_id: int, *, tried: bool = False) -> list[prompts.PromptOut]:
        """All versions of all prompts; with `tried` those too that a search only tried."""
        return self._list(prompts.PromptOut, f"/v1/projects/{project_id}/prompts", tried=tried)

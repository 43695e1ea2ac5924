"""The limits of the service; its commands take their defaults from here."""

from __future__ import annotations

from pydantic import Field

from lextune.core.recipe import Config


class ServiceSettings(Config):
    """What one request may cost, and how many may wait."""

    max_bytes: int = Field(default=20_000_000, gt=0)
    """Bytes of a request's body."""
    max_characters: int = Field(default=2_000_000, gt=0)
    """Code points of a document or of a conversation."""
    max_queue: int = Field(default=16, ge=0)
    """Requests that may wait beside the one that runs."""
    timeout_seconds: float = Field(default=300.0, gt=0)
    """Seconds from a request's head to its answer."""
    max_tokens: int = Field(default=1024, gt=0)
    """Tokens of the longest generated answer, and the limit for a caller who names none."""

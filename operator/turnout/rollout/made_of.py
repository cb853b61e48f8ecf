"""What a version is made of, and whether one that is made again is of the same bytes.

A tag may have moved meanwhile, so the image is recorded by the digest that the cluster resolved. Where nobody can say
what the bytes were, a return is a whole rollout.
"""

from turnout.api.reasons import State
from turnout.api.status import ResolvedStatus, Status
from turnout.api.version import ModelVersion
from turnout.rollout.rendering import template_hash
from turnout.rollout.selection import Member

IN_THE_IMAGE = "file"
"""The scheme of an artifact that comes with the image; on one machine it lies where it lay."""

MADE_AGAIN = frozenset({State.Failed, State.Archived, State.Retired})
"""States in which nothing of a version runs, so that its return makes it anew."""


def by_digest(member: Member, version: ModelVersion, status: Status) -> Status:
    """With the image as the cluster resolved it, as soon as that is known of the pinned revision."""
    revision, resolved = member.revision, status.resolved
    if revision is None or resolved is None or status.revision is None or status.revision.uid != revision.uid:
        return status
    if not revision.image or _is_digest(resolved.image):
        return status
    is_ours = resolved.template_hash == template_hash(version, resolved.image)  # else another release made it
    made_of = template_hash(version, revision.image) if is_ours else resolved.template_hash
    return status.model_copy(update={"resolved": ResolvedStatus(image=revision.image, template_hash=made_of)})


def why_not_the_same(status: Status, version: ModelVersion) -> str:
    """Why this version, made again, may be of other bytes than those that callers know; empty if it is not."""
    resolved, artifact = status.resolved, version.spec.predictor.artifact
    if resolved is None:
        return "nothing is recorded of what it was made of"
    if resolved.template_hash != template_hash(version, resolved.image):
        return "this release makes other pods of it"
    if resolved.image and not _is_digest(resolved.image):
        return f"no digest is known of its image {resolved.image}"
    if artifact and not artifact.digest and artifact.scheme != IN_THE_IMAGE:
        return "its artifact has no digest"
    return ""


def why_not_made_again(status: Status, version: ModelVersion) -> str:
    """Why one that was promoted and runs no more returns by its whole plan; empty if it does not, or still runs."""
    return why_not_the_same(status, version) if status.state in MADE_AGAIN else ""


def _is_digest(image: str) -> bool:
    return "@sha256:" in image

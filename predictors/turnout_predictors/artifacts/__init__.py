"""A published model: a folder whose manifest names every byte. Verified before anything in it is opened."""

from .artifact import Artifact, open_artifact
from .examples import Example
from .fetch import fetch
from .manifest import digest_of
from .push import push
from .write import write_artifact

__all__ = ["Artifact", "Example", "digest_of", "fetch", "open_artifact", "push", "write_artifact"]

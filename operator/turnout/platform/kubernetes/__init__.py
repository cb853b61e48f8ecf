"""The engine for clusters, and the only importer of `kubernetes`: lists, server-side apply, status, events."""

"""The local engine: versions as processes behind one Envoy, on one machine, without a cluster.

Nothing is imported here: who only reads an engine's folder needs neither its event loop nor its Envoy.
"""

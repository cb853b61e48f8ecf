"""ModelVersion as typed, frozen models: the single truth of fields, defaults, states, reasons and events.

The CRD and the reference are generated from here. Nothing in here does I/O but `loading`;
nothing knows a clock.
"""

"""What should happen next: `decide(Snapshot) -> Plan`, and nothing else. No I/O, no clock."""

"""The audit log says who wrote what, while it is still being written."""

from __future__ import annotations

import json
from pathlib import Path

from harness.audit import AuditLog

OPERATOR = "system:serviceaccount:turnout-system:turnout"


def line(verb: str, resource: str, user: str = OPERATOR, name: str = "x", **more: object) -> str:
    event = {
        "verb": verb,
        "user": {"username": user},
        "userAgent": "test",
        "objectRef": {"resource": resource, "apiGroup": "turnout.dev", "namespace": "n", "name": name},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2030-01-01T00:00:00.000001Z",
        "stageTimestamp": "2030-01-01T00:00:00.250000Z",
        **more,
    }
    return json.dumps(event) + "\n"


def test_writes_of_one_user_without_its_lease_and_its_reads(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(
        line("get", "modelversions")
        + line("update", "leases")
        + line("patch", "modelversions", requestObject={"status": {}})
        + line("patch", "modelversions", user="admin")
    )
    (written,) = AuditLog(path).writes("turnout-system")
    assert (written.verb, written.resource, written.body) == ("patch", "modelversions", {"status": {}})
    assert len(AuditLog(path).writes("turnout-system", leases=True)) == 2


def test_only_what_came_after_a_mark(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    assert log.mark() == 0
    with (tmp_path / "audit.log").open("a") as file:
        file.write(line("create", "routes", name="before"))
        file.flush()
        mark = log.mark()
        file.write(line("create", "routes", name="after"))
    assert [event.name for event in log.since(mark)] == ["after"]


def test_a_line_that_is_half_written_is_left_for_later(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text(line("create", "routes") + '{"verb": "del')
    assert [event.verb for event in AuditLog(tmp_path / "audit.log").since()] == ["create"]


def test_an_event_is_one_line_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text(line("patch", "modelversions"))
    (event,) = AuditLog(tmp_path / "audit.log").since()
    assert str(event) == f"00:00:00.000001 {OPERATOR} patch turnout.dev/modelversions n/x → 200"
    assert (event.answered - event.at).total_seconds() == 0.249999

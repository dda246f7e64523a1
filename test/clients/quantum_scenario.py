"""What the stock Azure Quantum client does with Ketline's local workspace, step by step.

Arguments: the server's address and a Ketline token, which goes where the client sends a workspace's key.
Prints one JSON line per step: {"step", "ok", "error"?}, on lines of their own: the client prints dots as it waits.
"""

import json
import sys
import traceback
from datetime import datetime, timedelta, timezone

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.quantum import Workspace
from azure.quantum.job.session import SessionStatus
from azure.quantum.target import Target
from qdk import qsharp

ENDPOINT, TOKEN = sys.argv[1:3]
QASM = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
BELL = """operation Main() : (Result, Result) {
    use (a, b) = (Qubit(), Qubit());
    H(a);
    CNOT(a, b);
    (MResetZ(a), MResetZ(b))
}"""
TELEPORT = """operation Main() : Result {
    use (m, a, b) = (Qubit(), Qubit(), Qubit());
    X(m); H(a); CNOT(a, b); CNOT(m, a); H(m);
    if MResetZ(a) == One { X(b); }
    if MResetZ(m) == One { Z(b); }
    MResetZ(b)
}"""
ENDLESS = "operation Main() : Int { mutable n = 0; while true { set n += 1; } n }"
STEPS = []


def step(function):
    STEPS.append(function)
    return function


def workspace(token=TOKEN):
    return Workspace(
        subscription_id="11111111-2222-3333-4444-555555555555",
        resource_group="lab",
        name="bench",
        location="eastus",
        credential=AzureKeyCredential(token),
        _quantum_endpoint=ENDPOINT + "/",
        _workspace_kind="V2",
    )


WORKSPACE = workspace()


def target(name="ketline.simulator"):
    return WORKSPACE.get_targets(name=name)


def submit(data=QASM, on="ketline.simulator", input_format="qasm.v3", **more):
    return target(on).submit(
        data,
        **{
            "name": "bell",
            "shots": 100,
            "input_data_format": input_format,
            "output_data_format": "microsoft.quantum-results.v2",
            "content_type": "application/qasm",
            **more,
        },
    )


def results(job):
    return job.get_results(timeout_secs=60)


@step
def finds_the_targets():
    names = sorted(one.name for one in WORKSPACE.get_targets())
    assert names == [
        "ketline.simulator",
        "ketline.simulator.adaptive",
        "ketline.simulator.base",
        "ketline.simulator.noisy",
    ], names
    assert target().current_availability == "Available"
    assert target().average_queue_time == 0


@step
def runs_openqasm():
    job = submit(tags=["bell", "demo"])
    assert job.details.status in ("Waiting", "Executing", "Completed"), job.details.status
    shares = results(job)
    assert set(shares) <= {"[0, 0]", "[1, 1]"}, shares
    assert abs(sum(shares.values()) - 1) < 1e-9, shares
    assert job.details.status == "Completed"
    assert job.details.tags == ["bell", "demo"]


@step
def reads_counts_and_single_shots():
    job = submit(shots=200)
    results(job)
    job.results = None
    histogram = job.get_results_histogram()
    assert sum(one["count"] for one in histogram.values()) == 200, histogram
    assert histogram["[0, 0]"]["outcome"] == [0, 0], histogram
    shots = job.get_results_shots()
    assert len(shots) == 200
    assert all(shot in ([0, 0], [1, 1]) for shot in shots)


@step
def reads_the_first_version_of_results():
    shares = results(submit(output_data_format="microsoft.quantum-results.v1"))
    assert set(shares) <= {"[0, 0]", "[1, 1]"}, shares


@step
def runs_what_qdk_compiles():
    qsharp.init(target_profile=qsharp.TargetProfile.Base)
    qsharp.eval(BELL)
    job = target("ketline.simulator.base").submit(qsharp.compile("Main()"), name="bell", shots=100)
    shares = results(job)
    assert set(shares) <= {"(0, 0)", "(1, 1)"}, shares
    assert all(isinstance(shot, tuple) for shot in job.get_results_shots())


@step
def runs_what_qdk_compiles_for_the_adaptive_profile():
    qsharp.init(target_profile=qsharp.TargetProfile.Adaptive_RI)
    qsharp.eval(TELEPORT)
    job = target("ketline.simulator.adaptive").submit(qsharp.compile("Main()"), name="teleport", shots=100)
    assert results(job) == {"1": 1.0}


@step
def compresses_its_input():
    import gzip

    assert results(submit(gzip.compress(QASM.encode()), encoding="gzip"))


@step
def hears_why_a_job_failed():
    job = submit("OPENQASM 3.0; nonsense;")
    job.wait_until_completed(timeout_secs=60, print_progress=False)
    assert job.details.status == "Failed"
    assert job.details.error_data.code == "InvalidProgram", job.details.error_data
    assert "main.qasm:1:" in job.details.error_data.message, job.details.error_data
    try:
        job.get_results()
    except RuntimeError as error:
        assert "main.qasm:1:" in str(error), error
    else:
        raise AssertionError("results of a failed job")


@step
def is_refused_what_is_not_there():
    try:
        submit(on="ketline.simulator", input_format="rigetti.quil.v1")
    except HttpResponseError as error:
        assert error.status_code == 400, error
        assert "rigetti.quil.v1" in error.message, error.message
    else:
        raise AssertionError("an unknown format was taken")
    try:
        WORKSPACE.get_job("nothing")
    except ResourceNotFoundError as error:
        assert "nothing" in error.message, error.message
    else:
        raise AssertionError("a job that is not there was found")


@step
def cancels_a_job():
    job = submit(ENDLESS, input_format="ketline.qsharp.v1")
    cancelled = WORKSPACE.cancel_job(job)
    assert cancelled.details.status == "Cancelled", cancelled.details.status
    job.wait_until_completed(timeout_secs=60, print_progress=False)
    assert job.details.status == "Cancelled"


@step
def groups_jobs_in_a_session():
    simulator = target()
    more = {
        "input_data_format": "qasm.v3",
        "output_data_format": "microsoft.quantum-results.v2",
        "content_type": "application/qasm",
        "shots": 10,
    }
    with simulator.open_session(name="pair") as session:
        first = simulator.submit(QASM, name="first", **more)
        second = simulator.submit(QASM, name="second", **more)
        assert first.details.session_id == session.id
        results(first)
        results(second)
    assert session.details.status == SessionStatus.SUCCEEDED, session.details.status
    jobs = WORKSPACE.list_session_jobs(session.id)
    assert sorted(job.details.name for job in jobs) == ["first", "second"]
    assert session.id in [one.id for one in WORKSPACE.list_sessions()]
    top = {item.id for item in WORKSPACE.list_top_level_items()}
    assert session.id in top and first.id not in top


@step
def lists_by_name_status_target_and_time():
    names = ["sorted-c", "sorted-a", "sorted-b"]
    jobs = {name: submit(name=name, on="ketline.simulator.noisy") for name in names}
    for job in jobs.values():
        results(job)

    def found(**filters):
        return [job.details.name for job in WORKSPACE.list_jobs(name_match="sorted-", **filters)]

    assert found(orderby_property="Name", is_asc=True) == sorted(names)
    assert found(orderby_property="Name", is_asc=False) == sorted(names, reverse=True)
    assert sorted(found(status=["Completed"], target=["ketline.simulator.noisy"], provider=["ketline"])) == sorted(names)
    assert found(status=["Failed", "Cancelled"]) == []
    now = datetime.now(timezone.utc)
    assert len(found(created_after=now - timedelta(days=1), created_before=now)) == 3
    assert found(created_after=now + timedelta(days=2)) == []
    pages = WORKSPACE.list_jobs_paginated(name_match="sorted-", top=1).by_page()
    assert [len(list(page)) for page in pages] == [1, 1, 1]


@step
def renames_and_tags_a_job():
    job = submit()
    results(job)
    job.update(name="renamed", tags=["kept"], priority="High")
    again = WORKSPACE.get_job(job.id)
    assert again.details.name == "renamed"
    assert again.details.tags == ["kept"]
    assert again.details.priority == "High"
    assert again.details.status == "Completed"


@step
def keeps_attachments():
    job = submit()
    results(job)
    job.upload_attachment("notes/first.txt", b"a note")
    assert job.download_attachment("notes/first.txt") == b"a note"
    names = sorted(blob.name for blob in job.list_attachments())
    assert names == ["inputData", "notes/first.txt", "outputData"], names


@step
def deletes_a_job():
    job = submit()
    results(job)
    job.delete()
    try:
        WORKSPACE.get_job(job.id)
    except ResourceNotFoundError:
        return
    raise AssertionError("a deleted job was found")


@step
def reads_quotas_and_costs():
    assert WORKSPACE.get_quotas()[0]["providerId"] == "ketline"
    job = submit()
    results(job)
    assert job.details.cost_estimate.estimated_total == 0
    assert job.details.end_execution_time is not None


@step
def is_refused_without_a_good_key():
    try:
        workspace("ketline_of_somebody_else").get_targets()
    except ClientAuthenticationError as error:
        assert error.status_code == 401, error
    else:
        raise AssertionError("a wrong key was taken")


for function in STEPS:
    name = function.__name__.replace("_", " ")
    try:
        function()
        print("\n" + json.dumps({"step": name, "ok": True}), flush=True)
    except Exception:
        print("\n" + json.dumps({"step": name, "ok": False, "error": traceback.format_exc()}), flush=True)

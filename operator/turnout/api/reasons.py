"""Every word that Turnout may say about a version, each with a sentence: states, reasons, events, conditions.

Closed lists: status, events, metrics, documents and tests use these constants and nothing else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Documented(StrEnum):
    """A word with the sentence that explains it to a person."""

    sentence: str

    def __new__(cls, word: str, sentence: str = "") -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member


class State(Documented):
    """Where a version stands; the reader's summary, derived from recorded facts, never an input by itself."""

    Pending = "Pending", "It is valid and waits for its turn to be looked at."
    Queued = "Queued", "It is the target and waits until another rollout of the model has ended."
    Deploying = "Deploying", "Its revision is being made and has no share of the traffic yet."
    Warming = "Warming", "It is up and answers its examples at its own address before any caller reaches it."
    Shadowing = "Shadowing", "It gets copies of requests; its answers go nowhere."
    Progressing = "Progressing", "It has a share of the traffic and moves along its plan."
    Paused = "Paused", "It keeps its share and waits, by plan or because a person said so."
    Held = (
        "Held",
        "It keeps its share and waits for evidence, its source, capacity or a living stable version.",
    )
    Promoting = "Promoting", "All traffic is on its way to it."
    Live = "Live", "It is the stable version of its model."
    Standby = "Standby", "It is kept and gets no traffic."
    RollingBack = "RollingBack", "Its share has been taken away and the rest is being tidied up."
    RolledBack = (
        "RolledBack",
        "It was proven or seen to be bad and gets no traffic without a new retry token.",
    )
    Aborted = "Aborted", "A person ended its rollout; it gets no traffic without a new retry token."
    Frozen = "Frozen", "It was judged harmful, keeps its share by policy and waits for a person."
    Superseded = "Superseded", "A newer version took its place in the middle of its rollout."
    Failed = "Failed", "It could not be made or did not answer as it should; no caller ever met it."
    Archived = (
        "Archived",
        "It was promoted once; its InferenceService is gone and can be made again as it was.",
    )
    Retired = "Retired", "Its owner retired it; nothing of it runs."
    Rejected = (
        "Rejected",
        "It is not acted upon: its spec, its version number or its names cannot be accepted.",
    )


class Role(Documented):
    """What a version is to its model just now."""

    Stable = "Stable", "It answers the requests that no rollout takes."
    Candidate = "Candidate", "It is being rolled out."
    Standby = "Standby", "It is kept and may return."
    Unassigned = "None", "It has no part in serving."


class ConditionType(Documented):
    """The conditions of a ModelVersion, compatible with kstatus."""

    Accepted = "Accepted", "The spec is valid, unique and served by this release."
    ArtifactReady = "ArtifactReady", "The artifact was found and loaded, and verified where it has a digest."
    RevisionReady = "RevisionReady", "Its revision has been ready and its pods are."
    RevisionPinned = "RevisionPinned", "Only the revision recorded at first readiness serves."
    TrafficInSync = "TrafficInSync", "The observed split is the desired one."
    AnalysisHealthy = "AnalysisHealthy", "The source of evidence answers."
    Progressing = "Progressing", "A rollout of it is under way."
    Stalled = "Stalled", "It cannot go on without a person or a change."
    Contended = "Contended", "Somebody else keeps writing the model's Route."
    Ready = "Ready", "It is settled where the rules put it."


class Reason(Documented):
    """Why a version is where it is: the one word of `status.reason` and of conditions."""

    # Accepted
    Pending = "Pending", "No operator has looked at it yet."
    Accepted = "Accepted", "The spec is valid, unique and served by this release."
    Invalid = "Invalid", "A field does not hold what the API allows."
    NotServed = "NotServed", "A field asks for something that this release does not do yet."
    DuplicateVersion = (
        "DuplicateVersion",
        "Another ModelVersion of the model has the same version number and is older.",
    )
    NameTaken = "NameTaken", "An object with a name that this version needs exists and is not Turnout's."
    NameReserved = "NameReserved", "A name that this version needs is reserved by another ModelVersion."
    RolloutInProgress = "RolloutInProgress", "Another rollout runs, and onSupersede says Reject."
    # where it waits
    AwaitingReconcile = "AwaitingReconcile", "It is accepted and its turn has not come yet."
    NotTheTarget = "NotTheTarget", "Another version of the model is the target."
    QueuedBehind = "QueuedBehind", "Another rollout of the model runs, and this version waits until it has ended."
    StandbyRequested = "StandbyRequested", "The spec says desired: Standby."
    OutsideRollbackWindow = "OutsideRollbackWindow", "It is older than the rollback window keeps."
    # deploying
    AwaitingRevision = "AwaitingRevision", "Its revision has not been made yet."
    AwaitingPods = "AwaitingPods", "Its revision exists and its pods are not ready yet."
    CannotSchedule = "CannotSchedule", "No node has room for its pods, or none fits their wishes."
    QuotaExceeded = "QuotaExceeded", "A quota of the namespace leaves no room for its pods."
    ImagePullFailed = "ImagePullFailed", "Its image cannot be pulled."
    AdmissionDenied = "AdmissionDenied", "The cluster refused to create what it needs."
    ArtifactNotFound = "ArtifactNotFound", "Its artifact is not where its URI says."
    ArtifactDigestMismatch = (
        "ArtifactDigestMismatch",
        "The artifact's bytes are not those that the digest names.",
    )
    ArtifactInvalid = "ArtifactInvalid", "The artifact is there and cannot be read as what it should be."
    ArtifactDenied = "ArtifactDenied", "Whoever keeps the artifact wants credentials, or others."
    ArtifactNoRoom = "ArtifactNoRoom", "The pod has no room for the artifact."
    ArtifactUnreachable = "ArtifactUnreachable", "Whoever keeps the artifact does not answer; it is asked again."
    SettingsInvalid = "SettingsInvalid", "The predictor refuses its settings."
    EntrypointInvalid = "EntrypointInvalid", "The entrypoint cannot be imported or is no Predictor."
    RuntimeNotServed = "RuntimeNotServed", "The image has no such runtime."
    DependencyMissing = "DependencyMissing", "A package that the runtime needs is missing from the image."
    LoadFailed = "LoadFailed", "The predictor failed while it loaded the model."
    CrashedWhileStarting = "CrashedWhileStarting", "Its process ended again and again before it was ready."
    ProgressDeadlineExceeded = "ProgressDeadlineExceeded", "It was not ready within progressDeadline."
    KServeMissing = "KServeMissing", "KServe or Knative is not installed, or too old."
    EnvoyMissing = "EnvoyMissing", "The local engine finds no Envoy to split the traffic."
    PortTaken = "PortTaken", "The local engine cannot listen on its port: another process does."
    # warming
    WarmingUp = "WarmingUp", "It is answering its examples."
    WrongAnswer = "WrongAnswer", "It answered an example otherwise than the artifact says."
    ContractDiffers = (
        "ContractDiffers",
        "Its inputs or outputs differ from stable's, and allowContractChange is false.",
    )
    WarmupTimeout = "WarmupTimeout", "It did not answer its examples within the timeout of the step."
    # in traffic
    AwaitingCapacity = "AwaitingCapacity", "It has fewer ready pods than its next share needs."
    AwaitingTraffic = "AwaitingTraffic", "The split is written and not observed yet."
    AwaitingEvidence = "AwaitingEvidence", "The judge has proven neither harm nor a pass."
    StepInProgress = "StepInProgress", "A step of its plan runs."
    StepDone = "StepDone", "A step of its plan is over and the next may begin."
    PausedByPlan = "PausedByPlan", "A pause step of its plan runs."
    PausedByPerson = "PausedByPerson", "A person set control.paused."
    AwaitingApproval = "AwaitingApproval", "An approval step waits for a person."
    # held
    Evicted = "Evicted", "Its pods were taken away by the cluster, not by a fault of its own."
    StableUnhealthy = "StableUnhealthy", "The stable version is dead; the candidate carries its share."
    StableFails = (
        "StableFails",
        "The stable version answers, and fails so often that nothing is rolled back by comparison with it.",
    )
    TooLittleCapacity = "TooLittleCapacity", "Fewer pods are ready than its share needs."
    LivingFallback = "LivingFallback", "The live version is dead; another with ready pods carries its share."
    NothingLives = "NothingLives", "No version that may serve has a ready pod."
    RollbackBlocked = "RollbackBlocked", "The stable side is dead, so the share stays where something lives."
    NoData = "NoData", "The source of evidence has nothing on it."
    SourceError = "SourceError", "The source of evidence does not answer."
    Inconclusive = "Inconclusive", "The step's time is over and neither harm nor a pass is proven."
    TooFewRequests = "TooFewRequests", "The step's time is over and too few requests were seen."
    # rolled back
    Crashed = "Crashed", "Its process ended by itself while it had traffic."
    ReadinessLost = "ReadinessLost", "None of its pods was ready while it had traffic."
    ErrorRate = "ErrorRate", "It is proven to fail more requests than stable does."
    Latency = "Latency", "It is proven to be slower than stable."
    Drift = "Drift", "Its answers differ from stable's more than tolerated."
    CustomMetric = "CustomMetric", "A metric of its own left its bounds."
    Aborted = "Aborted", "A person set control.abort."
    Withdrawn = "Withdrawn", "A person set it to Standby or Retired in the middle of its rollout."
    BeingDeleted = "BeingDeleted", "Its ModelVersion is being deleted."
    Superseded = "Superseded", "A newer version is the target."
    DeadlineExceeded = "DeadlineExceeded", "The whole attempt took longer than its deadline."
    # promotion and after
    FirstVersion = "FirstVersion", "It is the first of its model, so nothing stood in its way."
    NoStable = "NoStable", "No version is stable, so it gets everything at once: there is nothing to go beside."
    StableGone = "StableGone", "The stable version is no more, and this one carried everything already."
    PlanCompleted = "PlanCompleted", "Every step of its plan is over."
    FastReturn = "FastReturn", "It was promoted before and returns at once."
    PromotedByPerson = "PromotedByPerson", "A person set control.promote to Full."
    Promoted = "Promoted", "It is the stable version."
    Replaced = "Replaced", "A newer version was promoted."
    Adopted = "Adopted", "Its status was lost; the Route says that it serves."
    # traffic
    InSync = "InSync", "The observed split is the desired one."
    NoTraffic = "NoTraffic", "It has no share."
    RouteNotReady = "RouteNotReady", "The Route has not taken the split yet."
    TrafficStuck = "TrafficStuck", "The Route has not taken the split for a minute."
    TrafficUnwritable = "TrafficUnwritable", "The Route cannot be written."
    Contended = "Contended", "Somebody else keeps writing the model's Route."
    NotContended = "NotContended", "Nobody else writes the model's Route."
    # revision
    RevisionReady = "RevisionReady", "Its revision is ready."
    RevisionGone = "RevisionGone", "The revision that was pinned exists no more."
    Pinned = "Pinned", "Its revision is recorded by name and uid."
    NotPinned = "NotPinned", "It has not been ready yet, so no revision is recorded."
    UnplannedRevision = "UnplannedRevision", "KServe made a further revision of it, which gets no traffic."
    RevisionReplaced = (
        "RevisionReplaced",
        "A revision of the pinned name has another uid: it is another version.",
    )
    ScaledToZero = "ScaledToZero", "It has no pods because nobody asks for it; the next request wakes it."
    # conditions at rest
    SourceAnswers = "SourceAnswers", "The source of evidence answers."
    NotAnalysed = "NotAnalysed", "No evidence is read for it now."
    NoRollout = "NoRollout", "No rollout of it is under way."
    NotStalled = "NotStalled", "It needs nobody."
    # the end
    RetiredByRequest = "RetiredByRequest", "The spec says desired: Retired."
    LastServing = (
        "LastServing",
        "It should go and is the last that serves, so it stays until another takes over or it is deleted.",
    )


class EventReason(Documented):
    """The reason of every Event that Turnout writes."""

    Rejected = "Rejected", "A version cannot be accepted; the message names the field or the object."
    Caution = "Caution", "Something of a version's spec does not do what it seems to, or is not judged."
    Queued = "Queued", "A version waits for another rollout to end."
    RolloutStarted = "RolloutStarted", "A rollout has begun."
    RevisionPinned = "RevisionPinned", "A version was ready for the first time; its revision is recorded."
    UnplannedRevision = "UnplannedRevision", "KServe made a further revision; no traffic moved."
    WarmedUp = "WarmedUp", "A version answered its examples."
    StepEntered = "StepEntered", "A step of the plan has begun."
    PlanChanged = "PlanChanged", "The steps of a running rollout were edited, and those to come count from now on."
    WeightChanged = "WeightChanged", "The split was changed."
    Paused = "Paused", "A rollout was paused."
    Resumed = "Resumed", "A rollout goes on."
    Held = "Held", "A rollout waits; the message says for what."
    Resolved = "Resolved", "What a rollout waited for has come."
    Promoted = "Promoted", "A version became stable."
    Standby = "Standby", "A version gave up its traffic and is kept."
    Dropped = "Dropped", "A dead version was taken out of the split."
    RollbackStarted = "RollbackStarted", "A version was found bad; its share has been taken away."
    RolledBack = "RolledBack", "A rollback is complete."
    RollbackBlocked = "RollbackBlocked", "A rollback has nowhere to go: the stable side is dead."
    Aborted = "Aborted", "A person ended a rollout."
    Frozen = "Frozen", "A version was judged harmful; it keeps its share by policy and waits for a person."
    Superseded = "Superseded", "A newer version took over."
    Failed = "Failed", "A version could not be made or warmed up."
    DeadlineExceeded = "DeadlineExceeded", "An attempt took longer than its deadline."
    DriftCorrected = "DriftCorrected", "Somebody changed the Route; the split was put back."
    Contended = "Contended", "Somebody keeps changing the Route; Turnout backs off."
    TrafficStuck = "TrafficStuck", "The Route does not take the split."
    TrafficUnwritable = "TrafficUnwritable", "The Route cannot be written."
    ControlAccepted = "ControlAccepted", "A wish in the control block was acted upon."
    ControlRejected = "ControlRejected", "A wish in the control block had no effect; the message says why."
    QuotaExceeded = "QuotaExceeded", "A quota leaves no room for a version's pods."
    DependencyMissing = "DependencyMissing", "KServe, Knative or Envoy is missing."
    Archived = "Archived", "A version left the rollback window; its InferenceService was deleted."
    Retired = "Retired", "A version was retired."
    LastServing = "LastServing", "A version that should go is the last that serves; it stays."
    GhostServing = "GhostServing", "A deleted version still serves until another may take over."
    StatusRebuilt = "StatusRebuilt", "A lost status was rebuilt from the Route."


FAILED_STATES = frozenset({State.RolledBack, State.Aborted, State.Failed, State.Frozen})
"""The current attempt has failed: no target until a new retry token, or as the only one that lives."""

ROLLOUT_STATES = frozenset(
    {
        State.Deploying,
        State.Warming,
        State.Shadowing,
        State.Progressing,
        State.Paused,
        State.Held,
        State.Promoting,
        State.RollingBack,
    }
)
"""States in which a rollout occupies the model; `Held` may also be that of a live version."""

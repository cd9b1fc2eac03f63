/** What to look for, as flags: of `query` and `tail`. */
import * as Flag from "effect/cli/Flag"
import type * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Outcome, Phase, Severity, StorageClass } from "../DatasetEvent.ts"
import { Filter } from "../trail/Filter.ts"
import { timeFlag } from "./store.ts"

/** A flag with any text. */
export const textFlag = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withSchema(Schema.NonEmptyString), Flag.optional, Flag.withDescription(description))

export const filterFlags = {
  action: Flag.String("action").pipe(
    Flag.withSchema(Filter.fields.action.schema),
    Flag.optional,
    Flag.withDescription("An action such as note.create, or note.* for all below note")
  ),
  actorId: textFlag("actor-id", "The acting human's, agent's or tool's id"),
  userId: textFlag("user-id", "The person behind it"),
  subjectId: textFlag("subject-id", "A person whom the event is about"),
  resourceType: textFlag("resource-type", "The kind of thing"),
  resourceId: textFlag("resource-id", "The thing"),
  outcome: Flag.Literals("outcome", Outcome.literals).pipe(Flag.optional, Flag.withDescription("How it ended")),
  traceId: textFlag("trace-id", "Trace id"),
  requestId: textFlag("request-id", "Request id"),
  correlationId: textFlag("correlation-id", "Correlation id"),
  runId: textFlag("run-id", "Run id"),
  stepId: textFlag("step-id", "Step id"),
  operationId: textFlag("operation-id", "The operation that is told in two events"),
  phase: Flag.Literals("phase", Phase.literals).pipe(
    Flag.optional,
    Flag.withDescription("Which half of an operation: before it was done, or after")
  ),
  projectId: textFlag("project-id", "Project id"),
  surface: textFlag("surface", "Where in the product"),
  severity: Flag.Literals("severity", Severity.literals).pipe(
    Flag.optional,
    Flag.withDescription("How much it matters")
  ),
  storageClass: Flag.Literals("storage-class", StorageClass.literals).pipe(
    Flag.optional,
    Flag.withDescription("What the event is kept for")
  ),
  trainOk: Flag.Literals("train-ok", ["true", "false"]).pipe(
    Flag.optional,
    Flag.withDescription("Whether the event may train a model")
  ),
  since: timeFlag("since", "Recorded at this time or later: 2026-01-31, or RFC 3339").pipe(Flag.optional),
  until: timeFlag("until", "Recorded before this time").pipe(Flag.optional)
}

type Given =
  & {
    readonly [Name in Exclude<keyof Filter, "trainOk" | "since" | "until">]-?: Option.Option<Filter[Name]>
  }
  & {
    readonly trainOk: Option.Option<string>
    readonly since: Option.Option<DateTime.Utc>
    readonly until: Option.Option<DateTime.Utc>
  }

/** The filter that the flags ask for. */
export const filterOf = ({ trainOk, ...filters }: Given): Filter => {
  const given = Option.getOrUndefined
  return {
    action: given(filters.action),
    actorId: given(filters.actorId),
    userId: given(filters.userId),
    subjectId: given(filters.subjectId),
    resourceType: given(filters.resourceType),
    resourceId: given(filters.resourceId),
    outcome: given(filters.outcome),
    traceId: given(filters.traceId),
    requestId: given(filters.requestId),
    correlationId: given(filters.correlationId),
    runId: given(filters.runId),
    stepId: given(filters.stepId),
    operationId: given(filters.operationId),
    phase: given(filters.phase),
    projectId: given(filters.projectId),
    surface: given(filters.surface),
    severity: given(filters.severity),
    storageClass: given(filters.storageClass),
    trainOk: Option.getOrUndefined(Option.map(trainOk, (value) => value === "true")),
    since: given(filters.since),
    until: given(filters.until)
  }
}

/**
 * All actions of an application in one place: they describe themselves, and others need not be possible.
 *
 *     export const Actions = AuditRegistry.make(OrderCreate, OrderCancel)
 *     yield* Actions.actions["order.create"].emit({ ... })
 *     yield* Actions.emit({ action: "order.creat" })    // does not compile
 *
 * `effect-audit actions --config FILE` prints the registry of a configuration. With `Actions.layer` over the logger an
 * action that is not registered is refused at run time as well, whoever emits it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AuditError } from "./AuditError.ts"
import { type AuditDraft, AuditLogger } from "./AuditLogger.ts"
import type { Severity, StorageClass } from "./DatasetEvent.ts"
import type { Given } from "./internal/actionDraft.ts"
import { ourOwn, ReadDraft, refusalBy } from "./internal/draft.ts"
import { pointer } from "./internal/json.ts"
import type { Mark, Marked } from "./internal/marks.ts"
import { isOwnAction } from "./internal/ownActions.ts"
import { type EmitOptions, readOptions, type Receipt } from "./LoggingEngine.ts"
import type { RequestContext } from "./RequestContext.ts"

/** An action, as a registry sees it. */
export interface Registered<Name extends string = string> {
  readonly name: Name
  readonly marks: ReadonlyArray<Marked>
  readonly mark: (draft: AuditDraft) => AuditDraft
  readonly options: Given & {
    readonly description?: string | undefined
    readonly storageClass?: StorageClass | undefined
    readonly retention?: string | undefined
    readonly ocsf?: { readonly classUid: number; readonly activityId: number } | undefined
  }
}

/** What an action says of itself. */
export interface Description {
  readonly action: string
  readonly description: string | undefined
  /** The type of what it is about. */
  readonly resource: string | undefined
  readonly severity: Severity
  readonly storageClass: StorageClass
  readonly retention: string | undefined
  readonly ocsf: { readonly classUid: number; readonly activityId: number } | undefined
  /** What becomes of fields, by JSON Pointers into the event; `*` stands for any key or index. */
  readonly marks: { readonly [place: string]: Mark }
  /** JSON Schemas (draft 2020-12) of what goes in and comes out. */
  readonly input: unknown
  readonly output: unknown
}

/** Actions by their names. */
export interface Registry<Actions extends Registered = Registered> {
  readonly actions: { readonly [Name in Actions["name"]]: Extract<Actions, { readonly name: Name }> }
  /**
   * Records one event of a registered action; the draft is read at the call. Its fields are treated as the action marks
   * them; no schema checks them: `actions[name].emit` does.
   */
  readonly emit: (
    draft: AuditDraft & { readonly action: Actions["name"] },
    options?: EmitOptions | undefined
  ) => Effect.Effect<Receipt, AuditError, AuditLogger | RequestContext>
  /**
   * A logger that treats fields as their action marks them, and refuses every action that is not registered with
   * `InvalidInput` at `/action`, but those that this package records itself, such as `http.request` and `tool.call`.
   */
  readonly layer: Layer.Layer<AuditLogger, never, AuditLogger>
  /** A draft with its fields as its action marks them; another's is left as it is. */
  readonly mark: (draft: AuditDraft) => AuditDraft
  readonly descriptions: ReadonlyArray<Description>
}

const schemaOf = (schema: Schema.Encoder<unknown> | undefined): unknown => {
  if (schema === undefined) return undefined
  try {
    const { definitions, schema: main } = Schema.toJsonSchemaDocument(Schema.toEncoded(schema))
    return Object.keys(definitions).length === 0 ? main : { ...main, $defs: definitions }
  } catch {
    // What a JSON Schema cannot say is described as anything.
    return {}
  }
}

const describe = ({ marks, name, options }: Registered): Description => {
  const { description, input, ocsf, output, resource, retention, severity = "info", storageClass = "audit" } = options
  return {
    action: name,
    description,
    resource,
    severity,
    storageClass,
    retention,
    ocsf,
    marks: Object.fromEntries(marks.map(({ mark, path }) => [pointer(path), mark])),
    input: schemaOf(input),
    output: schemaOf(output)
  }
}

/** A registry of actions; throws `TypeError` where two have one name. */
export function make<const Actions extends ReadonlyArray<Registered>>(...actions: Actions): Registry<Actions[number]>
export function make(...actions: ReadonlyArray<Registered>): Registry {
  const known = new Map(actions.map((action) => [action.name, action]))
  if (known.size < actions.length) {
    const twice = actions.find(({ name }, at) => actions.findIndex((other) => other.name === name) < at)
    throw new TypeError(`two actions have the name ${twice?.name}`)
  }
  const allowed = (draft: ReadDraft): ReadDraft => {
    const action = known.get(draft.action)
    return action !== undefined
      ? ReadDraft.of(action.mark(draft), "audit")
      : isOwnAction(draft.action) || draft.action === ""
      ? draft
      : ReadDraft.refused("/action", "is no action of the registry")
  }
  return {
    actions: Object.fromEntries(known),
    emit: (draft, options) => {
      const read = allowed(ReadDraft.of(draft, "audit"))
      const given = readOptions(options)
      return Effect.flatMap(AuditLogger, (logger) => logger.emit(ReadDraft.for(logger, read), given))
    },
    layer: Layer.effect(
      AuditLogger,
      Effect.map(AuditLogger, (logger) =>
        ourOwn(
          AuditLogger.of({
            emit: (draft, options) => logger.emit(ReadDraft.for(logger, allowed(ReadDraft.of(draft, "audit"))), options)
          }),
          (draft) => refusalBy(logger, allowed(draft))
        ))
    ),
    mark: (draft) => known.get(draft.action)?.mark(draft) ?? draft,
    descriptions: actions.map(describe)
  }
}

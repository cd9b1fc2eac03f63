/**
 * Actions as values: what an event of an action holds is said once, and checked by the compiler wherever it is emitted.
 *
 *     const OrderCreate = AuditAction.make("order.create", {
 *       resource: "order",
 *       input: Schema.Struct({ email: AuditAction.strip(Schema.String), total: Schema.Number }),
 *       output: Schema.Struct({ invoice: Schema.String })
 *     })
 *     yield* OrderCreate.emit({ id: "o1", input: { email, total: 7 } })
 *     yield* OrderCreate.audited(create(order), { id: order.id, input: order })
 *
 * Fields that a schema marks are treated as it says, beyond what detectors find; they count as the kind `PERSONAL`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { AuditError } from "./AuditError.ts"
import { type AuditDraft, audited, type AuditedOptions, AuditLogger } from "./AuditLogger.ts"
import type { Resource, Severity, StorageClass } from "./DatasetEvent.ts"
import { type Given, type Read, type Reading, reading } from "./internal/actionDraft.ts"
import { actionPattern, ourOwn, ReadDraft, refusalBy } from "./internal/draft.ts"
import { resourceTypePattern } from "./internal/draftFields.ts"
import { annotation } from "./internal/fieldMarks.ts"
import type { Mark, Marked } from "./internal/marks.ts"
import { isOwnAction } from "./internal/ownActions.ts"
import { type Recorder, recorderOf } from "./internal/watching.ts"
import { type EmitOptions, LoggingEngine, readOptions, type Receipt } from "./LoggingEngine.ts"
import type { RequestContext } from "./RequestContext.ts"
import type { Transactions } from "./Transactions.ts"

export type { Mark } from "./internal/marks.ts"

const marking = (mark: Mark) => <S extends Schema.Top>(schema: S): S["Rebuild"] =>
  schema.annotate({ [annotation]: mark })

/** Marks what a schema is of as personal: `[PERSONAL]` stands for it in the event, which may then train no model. */
export const strip = marking("strip")
/** As `strip`, by a keyed hash that is the same for the same value of a tenant; needs the stripper's key. */
export const pseudonym = marking("pseudonym")
/** Leaves out what a schema is of: `null` stands for it. */
export const drop = marking("drop")
/** Keeps what a schema is of: no detector looks at it. */
export const keep = marking("keep")

/** A schema of input or output: it encodes without services, to what becomes JSON by the rules in `docs/events.md`. */
export type Encodable = Schema.Encoder<unknown>

type TypeOf<S> = S extends Schema.Top ? S["Type"] : never
/** Marks by the names of the fields that a schema encodes to. */
export type Redaction<S> = S extends Schema.Top ? { readonly [Field in keyof S["Encoded"]]?: Mark } : never

/** What is said of an action once. */
export interface Options<
  I extends Encodable | undefined,
  O extends Encodable | undefined,
  R extends string | undefined,
  S extends StorageClass
> {
  /** What it is for: for those who read the list of actions. */
  readonly description?: string | undefined
  /** The type of what it is about; its id is given with each event. */
  readonly resource?: R
  readonly input?: I
  readonly output?: O
  /** The persons whom an event is about, beside those that it names itself. */
  readonly subjects?: ((input: TypeOf<I>) => ReadonlyArray<string>) | undefined
  /** Marks of fields, beside those of the schemas. */
  readonly redaction?: { readonly input?: Redaction<I>; readonly output?: Redaction<O> } | undefined
  /** `info` unless given. */
  readonly severity?: Severity | undefined
  /** `audit` unless given; of another class it is recorded by the `LoggingEngine`. */
  readonly storageClass?: S
  /** How long its events are to be kept: for those who configure that. */
  readonly retention?: string | undefined
  /** Its class and activity in OCSF: for those who map events. */
  readonly ocsf?: { readonly classUid: number; readonly activityId: number } | undefined
}

/** What records: of class `audit` the logger, else the engine. */
export type Writer<S extends StorageClass> = S extends "audit" ? AuditLogger : LoggingEngine

type About<R> = R extends string ? { /** The id of what it is about. */ readonly id: string }
  : { readonly resource?: Resource }
type In<I> = I extends Schema.Top ? { readonly input: I["Type"] } : {}
type Out<O> = O extends Schema.Top ? { readonly output?: O["Type"] } : {}

/** What is said of one event. */
export type Event<I, O, R> =
  & Omit<AuditDraft, "action" | "resource" | "input" | "output">
  & About<R>
  & In<I>
  & Out<O>

type AboutResult<A, R> = R extends string ?
  { /** The id of what it is about. */ readonly id: string | ((result: A) => string) }
  : { readonly resource?: AuditedOptions<A, never>["resource"] }
type OutResult<A, O> = O extends Schema.Top
  ? [A] extends [O["Type"]] ? { /** The result itself unless given. */ readonly output?: (result: A) => O["Type"] }
  : { readonly output: (result: A) => O["Type"] }
  : {}

/** What is said of an effect that is watched. */
export type Watched<A, E, I, O, R, T extends boolean | undefined> =
  & Omit<AuditedOptions<A, E, T>, "action" | "resource" | "input" | "output">
  & AboutResult<A, R>
  & In<I>
  & OutResult<A, O>

/** An action. */
export interface AuditAction<
  Name extends string,
  I extends Encodable | undefined,
  O extends Encodable | undefined,
  R extends string | undefined,
  S extends StorageClass
> {
  readonly name: Name
  readonly options: Options<I, O, R, S>
  /** Marks of fields, of the schemas and beside them, by their places in an event. */
  readonly marks: ReadonlyArray<Marked>
  /** A draft of this action by hand, with its fields as they are marked. */
  readonly mark: (draft: AuditDraft) => AuditDraft
  /** Records one event; it is read at the call. */
  readonly emit: (
    event: Event<I, O, R>,
    options?: EmitOptions | undefined
  ) => Effect.Effect<Receipt, AuditError, Writer<S> | RequestContext>
  /** Records the outcome of an effect, as `AuditLogger.audited` does. */
  readonly audited: <A, E, R2, T extends boolean | undefined = undefined>(
    effect: Effect.Effect<A, E, R2>,
    options: Watched<A, E, I, O, R, T>
  ) => Effect.Effect<A, E | AuditError, R2 | Needs<S, T>>
  /** As `audited`, with the receipt of the event of its success. */
  readonly withReceipt: <A, E, R2, T extends boolean | undefined = undefined>(
    effect: Effect.Effect<A, E, R2>,
    options: Watched<A, E, I, O, R, T>
  ) => Effect.Effect<readonly [result: A, receipt: Receipt], E | AuditError, R2 | Needs<S, T>>
}

type Needs<S extends StorageClass, T> = Writer<S> | RequestContext | (T extends true ? Transactions : never)

/** Any action. */
export type Any = AuditAction<string, Encodable | undefined, Encodable | undefined, string | undefined, StorageClass>

type GivenEvent = Omit<AuditDraft, "action"> & { readonly id?: string | undefined }
type GivenWatched = Omit<AuditedOptions<unknown, unknown>, "action"> & {
  readonly id?: string | ((result: unknown) => string) | undefined
}
type Run = (
  effect: Effect.Effect<unknown, unknown, unknown>,
  options: GivenWatched
) => Effect.Effect<unknown, unknown, unknown>
interface Made {
  readonly name: string
  readonly options: Given & { readonly storageClass?: StorageClass | undefined }
  readonly marks: ReadonlyArray<Marked>
  readonly mark: (draft: AuditDraft) => AuditDraft
  readonly emit: (event: GivenEvent, options?: EmitOptions) => Effect.Effect<Receipt, AuditError, unknown>
  readonly audited: Run
  readonly withReceipt: Run
}

/** Where events are recorded, by their class. */
const writing = (storageClass: StorageClass): Effect.Effect<Recorder, never, AuditLogger | LoggingEngine> =>
  storageClass === "audit"
    ? Effect.map(AuditLogger, recorderOf)
    : Effect.map(LoggingEngine, (engine) => ({
      emit: (draft, options) => engine.log(ReadDraft.of(draft, storageClass), options),
      refusal: (draft) => refusalBy(engine, draft)
    }))

const persons = (always: ReadonlyArray<string>, given: ReadonlyArray<string> | undefined) =>
  always.length === 0 ? given : [...always, ...given ?? []]

/** The options of `audited` for an action: what it says once, and what is said of this effect. */
const auditedOptions = (
  { about, name, output: encode, severity: usual }: Pick<Reading, "about" | "name" | "output" | "severity">,
  { id, output, resource, severity, subjectIds, ...rest }: GivenWatched,
  { input, people }: Read
): AuditedOptions<unknown, unknown> => ({
  ...rest,
  action: name,
  input,
  severity: typeof severity === "function" ? (exit) => severity(exit) ?? usual : severity ?? usual,
  subjectIds: typeof subjectIds === "function"
    ? (result) => persons(people, subjectIds(result))
    : persons(people, subjectIds),
  resource: typeof id === "function"
    ? (result) => about(id(result))
    : id === undefined
    ? resource
    : about(id),
  output: encode === undefined ? undefined : (result) => encode(output === undefined ? result : output(result))
})

const checkNames = (name: string, resource: string | undefined): void => {
  if (!actionPattern.test(name) || name.length > 128) {
    throw new TypeError("the name of an action is dotted lower-case words such as order.create, at most 128 characters")
  }
  if (isOwnAction(name)) {
    throw new TypeError(`${name} is an action that this package records itself`)
  }
  if (resource !== undefined && !resourceTypePattern.test(resource)) {
    throw new TypeError(
      "the type of a resource is a letter, then letters, digits and _ . : / -, at most 128 characters"
    )
  }
}

/**
 * Says what an action's events hold. Throws `TypeError` for a name that no action has, or that this package records
 * itself, and for a type that no resource has.
 */
export function make<
  const Name extends string,
  I extends Encodable | undefined = undefined,
  O extends Encodable | undefined = undefined,
  const R extends string | undefined = undefined,
  const S extends StorageClass = "audit"
>(name: Name, options?: Options<I, O, R, S>): AuditAction<Name, I, O, R, S>
// What is said of events at the type level is checked where they are emitted; here they are what they are made of.
export function make(name: string, options: Made["options"] = {}): object {
  checkNames(name, options.resource)
  const action = reading(name, options)
  const write = writing(options.storageClass ?? "audit")
  const emit: Made["emit"] = ({ id, output, resource, subjectIds, ...rest }, how) => {
    const read = action.read(rest.input)
    const draft = read instanceof ReadDraft ? read : action.draft({
      ...rest,
      action: name,
      resource: id === undefined ? resource : action.about(id),
      input: read.input,
      output: action.encodeOutput(output),
      subjectIds: persons(read.people, subjectIds),
      severity: rest.severity ?? options.severity
    })
    const given = readOptions(how)
    return Effect.flatMap(write, ({ emit }) => emit(draft, given))
  }
  /** Reads what is said of an effect, at the call; what it gives runs the effect. */
  const watching = (effect: Effect.Effect<unknown, unknown, unknown>, given: GivenWatched) => {
    const read = action.read(given.input)
    const known = read instanceof ReadDraft ? { input: undefined, people: [] } : read
    const record = audited(auditedOptions(action, given, known))
    /** The draft of a half or of a failure as well: whom it is about is known from the input. */
    const complete = (draft: AuditDraft) =>
      action.draft(
        ReadDraft.isRefused(draft) || draft.subjectIds !== undefined || known.people.length === 0
          ? draft
          : { ...draft, subjectIds: known.people }
      )
    return (recorded: (receipt: Receipt) => void) =>
      Effect.flatMap(write, ({ emit, refusal }) =>
        Effect.flatMap(Effect.serviceOption(AuditLogger), (outer) => {
          const whole = (draft: AuditDraft) => read instanceof ReadDraft ? read : complete(draft)
          const logger = ourOwn(
            AuditLogger.of({
              emit: (draft, how) =>
                Effect.tap(emit(whole(draft), how), (receipt) => Effect.sync(() => recorded(receipt)))
            }),
            (draft) => refusal(ReadDraft.of(whole(draft), "audit"))
          )
          // What the effect records itself is recorded as it would be without this.
          const inside = Option.isSome(outer) ? Effect.provideService(effect, AuditLogger, outer.value) : effect
          return Effect.provideService(record(inside), AuditLogger, logger)
        }))
  }
  const made: Made = {
    name,
    options,
    marks: action.marks,
    mark: (draft) => ReadDraft.marked(draft, action.byHand),
    emit,
    audited: (effect, given) => watching(effect, given)(() => {}),
    withReceipt: (effect, given) => {
      const run = watching(effect, given)
      return Effect.suspend(() => {
        let last: Receipt | undefined
        return Effect.map(run((receipt) => last = receipt), (result) => [result, last])
      })
    }
  }
  return made
}

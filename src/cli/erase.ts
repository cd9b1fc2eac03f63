/** `effect-audit erase`, `hold` and `release`: what a data-protection request or a court asks for. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomUUID } from "node:crypto"
import { EventId } from "../DatasetEvent.ts"
import * as Erasure from "../erasure/Erasure.ts"
import * as RequestContext from "../RequestContext.ts"
import { Failed, UsageError } from "./exit.ts"
import { type StoreArgs, storeFlags } from "./opened.ts"
import { progress } from "./progress.ts"
import { envFlag, erasable, failing, tenantFlag, timeFlag } from "./store.ts"

const flags = {
  ...storeFlags,
  tenant: tenantFlag,
  env: envFlag,
  person: Flag.String("person").pipe(
    Flag.withSchema(RequestContext.Id),
    Flag.optional,
    Flag.withDescription("A person: events of user_id or subject_ids")
  ),
  eventId: Flag.String("event-id").pipe(
    Flag.withSchema(EventId),
    Flag.between(0, 1000),
    Flag.withDescription("An event; may be repeated")
  ),
  personBefore: timeFlag("person-before", "Of the --person, only what was recorded before this time").pipe(
    Flag.optional
  ),
  before: timeFlag("before", "Events recorded before this time: 2026-01-31, or RFC 3339").pipe(Flag.optional),
  reason: Flag.String("reason").pipe(Flag.withDescription("Why; recorded with the event that says what was done")),
  actorId: Flag.String("actor-id").pipe(
    Flag.withSchema(RequestContext.Id),
    Flag.withDescription("Who does it: the id of a person")
  )
}

const nameFlag = Flag.String("name").pipe(
  Flag.optional,
  Flag.withDescription("The case that the hold is for; what several cases hold is held until each has released it")
)
const sinceFlag = timeFlag("since", "With --before: events recorded at this time or later").pipe(Flag.optional)

interface Given {
  readonly personBefore: Option.Option<DateTime.Utc>
  readonly since?: Option.Option<DateTime.Utc>
  readonly name?: Option.Option<string>
  readonly tenant: RequestContext.TenantId
  readonly env: RequestContext.Env
  readonly person: Option.Option<string>
  readonly eventId: ReadonlyArray<EventId>
  readonly before: Option.Option<DateTime.Utc>
  readonly reason: string
  readonly actorId: string
}

/** The selections that are given; more than one, or none, is for the caller to refuse. */
const selectionsOf = <Range>(
  { before, eventId, person, personBefore }: Given,
  rangeOf: (before: DateTime.Utc) => Range
): ReadonlyArray<Erasure.Selection | Range> => [
  ...(Option.isNone(person) ? [] : [
    Option.isNone(personBefore)
      ? { person: person.value }
      : { personBefore: { person: person.value, before: personBefore.value } }
  ]),
  ...(eventId.length === 0 ? [] : [{ eventIds: eventId }]),
  ...(Option.isNone(before) ? [] : [rangeOf(before.value)])
]

const oneOf = <A>(given: ReadonlyArray<A>, { before, person, personBefore, since = Option.none() }: Given) => {
  if (Option.isSome(personBefore) && Option.isNone(person)) {
    return Effect.fail(new UsageError({ message: "--person-before needs --person" }))
  }
  if (Option.isSome(since) && Option.isNone(before)) {
    return Effect.fail(new UsageError({ message: "--since needs --before" }))
  }
  const [only] = given
  return only !== undefined && given.length === 1
    ? Effect.succeed(only)
    : Effect.fail(new UsageError({ message: "give one of --person, --event-id and --before" }))
}

const selectionOf = (given: Given): Effect.Effect<Erasure.Selection, UsageError> =>
  oneOf(selectionsOf(given, (before): Erasure.Selection => ({ before })), given)

const holdSelectionOf = (given: Given): Effect.Effect<Erasure.HoldSelection & Erasure.Case, UsageError> => {
  const { name = Option.none(), since = Option.none() } = given
  const rangeOf = (before: DateTime.Utc): Erasure.HoldSelection =>
    Option.isNone(since) ? { before } : { since: since.value, before }
  return Effect.map(oneOf(selectionsOf(given, rangeOf), given), (selection) => ({
    ...selection,
    name: Option.getOrUndefined(name)
  }))
}

/** A case as a whole, where nothing but its name is given. */
const releaseSelectionOf = (
  given: Given
): Effect.Effect<(Erasure.HoldSelection | Erasure.OfCase) & Erasure.Case, UsageError> =>
  given.name !== undefined && Option.isSome(given.name) && selectionsOf(given, (before) => ({ before })).length === 0
    ? Effect.succeed({ name: given.name.value })
    : holdSelectionOf(given)

/** Calls the service in the context of the person who does it. */
const within = Effect.fnUntraced(function*<S, A, E>(
  store: StoreArgs,
  given: Given,
  selecting: Effect.Effect<S, UsageError>,
  call: (selection: S & { readonly reason: string }) => Effect.Effect<
    A,
    E,
    Erasure.Erasure | RequestContext.RequestContext
  >
) {
  const selection = yield* selecting
  const context = yield* RequestContext.forJob({
    tenantId: given.tenant,
    env: given.env,
    actor: { type: "human", id: given.actorId },
    runId: `cli-${randomUUID()}`
  }).pipe(Effect.mapError((error) => new Failed({ message: error.message })))
  return yield* Effect.provide(
    RequestContext.provide(context)(call({ ...selection, reason: given.reason })),
    erasable(store)
  )
})

/** Positions as ranges, the first twenty of them. */
const rangesOf = (positions: ReadonlyArray<readonly [number, number]>): string => {
  const ranges = positions.slice(0, 20).map(([first, last]) => first === last ? `${first}` : `${first}-${last}`)
  return ranges.join(", ") + (positions.length > 20 ? `, and ${positions.length - 20} more` : "")
}

/** A time that is to come would erase all there is. */
const checkPast = ({ before, personBefore }: Given) =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) =>
      [before, personBefore].some((time) => Option.isSome(time) && time.value.epochMilliseconds > now)
        ? Effect.fail(new UsageError({ message: "--before and --person-before are times that have been" }))
        : Effect.void
  )

export const erase = Command.make(
  "erase",
  {
    ...flags,
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Say what would be erased, and erase nothing")
    )
  },
  Effect.fnUntraced(function*({ config, db, dryRun, ...given }) {
    yield* checkPast(given)
    if (dryRun) {
      const { count, held, positions } = yield* failing(
        within({ config, db }, given, selectionOf(given), ({ reason: _, ...selection }) => Erasure.preview(selection))
      )
      return yield* Console.log(
        `would erase ${count} events${count === 0 ? "" : ` at positions ${rangesOf(positions)}`}${
          held === 0 ? "" : `; ${held} of them are under legal hold: nothing could be erased`
        }`
      )
    }
    const state = { erased: 0 }
    const meter = yield* progress((seconds) => `${state.erased} events erased in ${seconds.toFixed(0)} s`)
    const erasing = within({ config, db }, given, selectionOf(given), (selection) =>
      Erasure.erase(selection, {
        progress: (count) => {
          state.erased = count
        }
      }))
    const erasure = yield* Effect.catchTag(erasing, "AuditError", (error) => failing(Effect.fail(error)))
    yield* meter.stop
    const { count, positions, receipts, scrubbed } = erasure
    yield* Console.log(
      count === 0
        ? "nothing to erase: no such events, or erased before"
        : `erased ${count} events at positions ${rangesOf(positions)}; recorded at position ${
          rangesOf(receipts.flatMap(({ position }) => position === undefined ? [] : [[position, position]]))
        }`
    )
    yield* Console.log(
      scrubbed
        ? "scrubbed: the bytes are gone from the store's files"
        : "not scrubbed: a reader holds the write-ahead log, which still has the bytes; repeat when it has ended"
    )
    if (count > 0) yield* Console.error("sign a checkpoint: the record of it is evidence once one covers it")
  })
).pipe(
  Command.withDescription(
    "Erase the content of events: their entries and proofs stay, and events record the erasure, one for each 2,048 " +
      "or fewer; others write meanwhile, and what is stopped in the middle is finished by the next call. Events " +
      "under legal hold are not erased. Copies outside the store are out of its reach. Sign a checkpoint " +
      "afterwards: the record is evidence once one covers it. Exit 0: done, 2: could not be done."
  ),
  Command.withExamples([{
    command:
      "effect-audit erase --db audit.db --tenant t_acme --env prod --person u1 --reason 'request 4711' --actor-id dpo1",
    description: "Erase what is stored of a person"
  }])
)

export const hold = Command.make(
  "hold",
  { ...flags, name: nameFlag, since: sinceFlag },
  Effect.fnUntraced(function*({ config, db, ...given }) {
    const receipt = yield* within({ config, db }, given, holdSelectionOf(given), Erasure.hold).pipe(
      Effect.catchTag("AuditError", (error) => failing(Effect.fail(error)))
    )
    yield* Console.log(`held; recorded at position ${receipt.position}`)
  })
).pipe(
  Command.withDescription(
    "Put events under legal hold, those to come as well: they cannot be erased until the same selection is released. " +
      "Exit 0: done, 2: could not be done."
  ),
  Command.withExamples([{
    command:
      "effect-audit hold --db audit.db --tenant t_acme --env prod --person u1 --reason 'case 12' --actor-id lawyer1",
    description: "Keep what is stored of a person"
  }])
)

export const release = Command.make(
  "release",
  { ...flags, name: nameFlag, since: sinceFlag },
  Effect.fnUntraced(function*({ config, db, ...given }) {
    const receipt = yield* within({ config, db }, given, releaseSelectionOf(given), Erasure.release).pipe(
      Effect.catchTag("AuditError", (error) => failing(Effect.fail(error)))
    )
    yield* Console.log(`released; recorded at position ${receipt.position}`)
  })
).pipe(
  Command.withDescription(
    "End the legal hold of a selection, or with nothing but --name all holds of a case. " +
      "Exit 0: done, 2: there is no such hold, or it could not be done."
  ),
  Command.withExamples([{
    command: "effect-audit release --db audit.db --tenant t_acme --env prod --person u1 --reason 'case 12 ended' " +
      "--actor-id lawyer1",
    description: "End a hold"
  }])
)

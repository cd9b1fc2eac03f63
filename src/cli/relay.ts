/** `effect-audit relay`: what relays do, and what they are told; they run in the application. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { EventId } from "../DatasetEvent.ts"
import * as Relay from "../relay/Relay.ts"
import { type Parked, RelayState, type Status } from "../relay/RelayState.ts"
import { AuditTrail } from "../trail/AuditTrail.ts"
import { Failed, UsageError } from "./exit.ts"
import { storeFlags } from "./opened.ts"
import { envFlag, failing, print, relaying, tenantFlag } from "./store.ts"
import { table } from "./table.ts"

const relayFlag = Flag.String("relay").pipe(Flag.withDescription("The relay's name"))

const time = (millis: number): string => new Date(millis).toISOString()

/** A relay that has run here: a misspelt name would be a relay of its own. */
const known = Effect.fnUntraced(function*(name: string) {
  const state = yield* RelayState
  const found = (yield* state.all).find(({ relay }) => relay === name)
  return found ?? (yield* new Failed({ message: `no relay has run here with the name ${name}` }))
})

/** What a relay does now, in a word or two. */
const stateOf = ({ failure, holder, isPaused }: Pick<Status, "failure" | "holder" | "isPaused">): string =>
  isPaused ? "paused" : holder === undefined ? "not running" : failure === undefined ? "running" : "waiting"

const status = Command.make(
  "status",
  {
    ...storeFlags,
    relay: relayFlag.pipe(Flag.optional, Flag.withDescription("One relay; all unless given")),
    tenant: tenantFlag.pipe(Flag.optional, Flag.withDescription("The logs of one tenant; of all unless given")),
    json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("Print lines of JSON"))
  },
  ({ config, db, json, relay, tenant }) =>
    failing(
      Effect.flatMap(Option.isSome(relay) ? Effect.andThen(known(relay.value), Relay.status) : Relay.status, (all) => {
        const relays = all.filter((one) => Option.isNone(relay) || one.relay === relay.value).map((one) => ({
          ...one,
          logs: one.logs.filter(({ tenantId }) => Option.isNone(tenant) || tenantId === tenant.value)
        }))
        if (json) {
          return print(relays.map((relay) => `${JSON.stringify({ state: stateOf(relay), ...relay })}\n`).join(""))
        }
        const rows = relays.flatMap(({ logs, ...one }) =>
          logs.map(({ env, lag, next, size, tenantId }) => [
            one.relay,
            stateOf(one),
            tenantId,
            env,
            String(next),
            String(size),
            String(lag),
            String(one.parked),
            one.failure === undefined ? "" : `${time(one.failure.atMillis)} ${one.failure.detail}`
          ])
        )
        const head = ["relay", "state", "tenant", "env", "next", "size", "lag", "parked", "last failure"]
        const none = relays.length === 0 ? "no relay has run here\n" : "there is no such log\n"
        return print(rows.length === 0 ? none : `${table(head, rows)}\n`)
      }).pipe(Effect.provide(relaying({ config, db })))
    )
).pipe(
  Command.withDescription(
    "How far each relay has delivered each log, and what failed last. Exit 0: done, 2: could not be done."
  )
)

/** A verb that tells a relay something. */
const telling = (name: string, isPaused: boolean, description: string) =>
  Command.make(name, { ...storeFlags, relay: relayFlag }, ({ config, db, relay }) =>
    failing(
      Effect.andThen(
        Effect.andThen(known(relay), Effect.flatMap(RelayState, (state) => state.pause(relay, isPaused))),
        Console.error(`${relay}: ${isPaused ? "paused; it keeps its place" : "goes on"}`)
      ).pipe(Effect.provide(relaying({ config, db })))
    )).pipe(Command.withDescription(description))

const parkedHead = ["tenant", "env", "position", "event", "tries", "parked", "reason"]
const parkedRow = ({ atMillis, eventId, isDue, log, position, reason, tries }: Parked): ReadonlyArray<string> => [
  log.tenantId,
  log.env,
  String(position),
  eventId,
  String(tries),
  `${time(atMillis)}${isDue ? " (asked for again)" : ""}`,
  reason
]

const parked = Command.make("parked", { ...storeFlags, relay: relayFlag }, ({ config, db, relay }) =>
  failing(
    Effect.flatMap(
      Effect.andThen(known(relay), Effect.flatMap(RelayState, (state) => state.parked(relay))),
      (events) =>
        print(
          events.length === 0
            ? "nothing is parked\n"
            : `${table(parkedHead, events.map(parkedRow))}\n`
        )
    ).pipe(Effect.provide(relaying({ config, db })))
  )).pipe(
    Command.withDescription("List the events that the target refused too often. Exit 0: done, 2: could not be done.")
  )

const retry = Command.make(
  "retry",
  {
    ...storeFlags,
    relay: relayFlag,
    eventId: Flag.String("event-id").pipe(
      Flag.withSchema(EventId),
      Flag.optional,
      Flag.withDescription("One parked event; all unless given")
    )
  },
  ({ config, db, eventId, relay }) =>
    failing(
      Effect.flatMap(
        Effect.andThen(
          known(relay),
          Effect.flatMap(RelayState, (state) => state.retry(relay, Option.getOrUndefined(eventId)))
        ),
        (count): Effect.Effect<void, Failed> =>
          count === 0
            ? Effect.fail(
              new Failed({
                message: Option.isNone(eventId)
                  ? `nothing of ${relay} is parked`
                  : `${relay} has no such parked event`
              })
            )
            : Console.error(`${relay}: ${count} events are delivered again by the process that runs it`)
      ).pipe(Effect.provide(relaying({ config, db })))
    )
).pipe(
  Command.withDescription(
    "Have parked events delivered again, each alone, by the process that runs the relay. Exit 0: asked for, 2: " +
      "could not be done."
  )
)

const backfill = Command.make(
  "backfill",
  {
    ...storeFlags,
    relay: relayFlag,
    tenant: tenantFlag,
    env: envFlag,
    position: Flag.Int("position").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
      Flag.withDescription("The position that is delivered next; 0 is the log's beginning")
    )
  },
  ({ config, db, env, position, relay, tenant }) =>
    failing(
      Effect.gen(function*() {
        const log = (yield* (yield* AuditTrail).logs).find((log) => log.tenantId === tenant && log.env === env)
        if (log === undefined) return yield* new Failed({ message: `${tenant} has no log in ${env}` })
        if (position > log.size) return yield* new UsageError({ message: `--position: the log has ${log.size} events` })
        const state = yield* RelayState
        yield* known(relay)
        yield* state.moveTo(relay, { tenantId: tenant, env }, position)
        yield* Console.error(`${relay}: ${tenant} ${env} is delivered from position ${position} on`)
      }).pipe(Effect.provide(relaying({ config, db })))
    )
).pipe(
  Command.withDescription(
    "Have a log delivered from a position on, again or without what is before, by the process that runs the relay. " +
      "Exit 0: asked for, 2: could not be done."
  )
)

export const relay = Command.make("relay").pipe(
  Command.withSubcommands([
    status,
    telling(
      "pause",
      true,
      "Stop a relay before its next delivery; it keeps its place. Exit 0: done, 2: could not be done."
    ),
    telling("resume", false, "Let a paused relay go on. Exit 0: done, 2: could not be done."),
    parked,
    retry,
    backfill
  ]),
  Command.withDescription(
    "Look at relays, and tell them what to do: they run in the application, and deliver the log to other systems."
  ),
  Command.withExamples([{
    command: "effect-audit relay status --db audit.db",
    description: "How far behind each relay is"
  }])
)

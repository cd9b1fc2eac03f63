/** The store that a verb works on, and flags that several verbs share. */
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { AuditError, IntegrityError } from "../AuditError.ts"
import * as AuditLogger from "../AuditLogger.ts"
import { keyOf, logging, type SignerConfig, stateOf } from "../config/AuditConfig.ts"
import * as Erasure from "../erasure/Erasure.ts"
import * as Ledger from "../ledger/Ledger.ts"
import { parseVkey } from "../ledger/SignedNote.ts"
import * as Signer from "../ledger/Signer.ts"
import { Env, TenantId } from "../RequestContext.ts"
import { DoesNotHold, Failed, UsageError } from "./exit.ts"
import type { StoreOptions } from "./medium.ts"
import { type Opened, opened, type StoreArgs } from "./opened.ts"

export const tenantFlag = Flag.String("tenant").pipe(
  Flag.withSchema(TenantId),
  Flag.withDescription("The tenant, such as t_acme")
)
export const envFlag = Flag.String("env").pipe(Flag.withSchema(Env), Flag.withDescription("The env, such as prod"))

const timePattern = /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d))?$/
const parseTime = (value: string): Option.Option<DateTime.Utc> =>
  timePattern.test(value) ? Option.map(DateTime.make(value), DateTime.toUtc) : Option.none()

/** A time; a day begins at midnight in UTC. */
export const timeFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.filterMap((value) => parseTime(value), () => "a date such as 2026-01-31, or a time of RFC 3339"),
    Flag.withDescription(description)
  )

/** Everything that writes and reads one store, as its configuration says. */
export const writable = (store: StoreArgs, options: StoreOptions = {}) =>
  Layer.unwrap(
    Effect.map(opened(store), (found) =>
      AuditLogger.layer(logging(found.config)).pipe(Layer.provideMerge(storeOf(found, options))))
  )

/** With a signer its state is looked at: a log that is not what was signed takes nothing. */
const storeOf = ({ config, medium }: Opened, options: StoreOptions) => {
  const { deployment, signer } = config.options
  return medium.store({ deployment, signer: signer === undefined ? undefined : stateOf(signer), ...options })
}

/** What only reads a store, which must exist. */
export const readable = (store: StoreArgs) => Layer.unwrap(Effect.map(opened(store), ({ medium }) => medium.reading))

/** What the relays of a store remember, and its logs. */
export const relaying = (store: StoreArgs) => Layer.unwrap(Effect.map(opened(store), ({ medium }) => medium.relaying))

/** The ledger of a store that is opened for reading only. */
export const verifiable = (store: StoreArgs) =>
  Layer.unwrap(Effect.map(opened(store), ({ medium }) => Ledger.layer.pipe(Layer.provide(medium.verifying))))

/** Erasure over a store, which must exist. */
export const erasable = (store: StoreArgs) => Erasure.layer.pipe(Layer.provide(writable(store, { mustExist: true })))

/** Where the key is that signs, and the signer's state. */
export interface SigningArgs {
  readonly keyFile: Option.Option<string>
  readonly state: Option.Option<string>
  readonly newSigner: boolean
}

export const signingFlags = {
  keyFile: Flag.String("key-file").pipe(
    Flag.optional,
    Flag.withDescription("The signing key, as keygen wrote it; that of the configuration unless given")
  ),
  state: Flag.String("state").pipe(
    Flag.optional,
    Flag.withDescription("The signer's state; the key file's name and .state unless given")
  ),
  newSigner: Flag.Boolean("new-signer").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Make a missing signer's state: this key has signed nothing before")
  )
}

/** The signer that is given, or that of the configuration. */
const signerOf = ({ config }: Opened, { keyFile, newSigner, state }: SigningArgs): SignerConfig | undefined => {
  const { signer } = config.options
  if (Option.isNone(keyFile) && signer === undefined) return undefined
  const known: SignerConfig = Option.isSome(keyFile) ? { key: keyFile.value } : signer ?? { key: "" }
  return {
    ...known,
    ...(Option.isSome(state) ? { state: state.value } : {}),
    newSigner: newSigner || known.newSigner === true
  }
}

const noKey = new UsageError({ message: "give --key-file FILE, or --config FILE of a configuration with a signer" })

/** A store that must exist, with the signer that signs for it. */
const signed = Effect.fnUntraced(function*(store: StoreArgs, args: SigningArgs) {
  const found = yield* opened(store)
  const signer = signerOf(found, args)
  if (signer === undefined) return yield* noKey
  const key = yield* keyOf(signer)
  return { found, key, medium: storeOf(found, { mustExist: true, signer: stateOf(signer) }) }
})

/** The ledger of a store, which must exist; it signs on demand. */
export const signing = (store: StoreArgs, args: SigningArgs) =>
  Layer.unwrap(
    Effect.map(signed(store, args), ({ key, medium }) =>
      Ledger.layerOnDemand.pipe(Layer.provide(Signer.layer({ key })), Layer.provide(medium)))
  )

/** Everything over a store, which must exist, for whoever is served; it signs if there is a key. */
export const served = (store: StoreArgs, args: SigningArgs) =>
  Layer.unwrap(Effect.gen(function*() {
    const found = yield* opened(store)
    const signer = signerOf(found, args)
    const medium = storeOf(found, {
      mustExist: true,
      ...(signer === undefined ? {} : { signer: stateOf(signer) })
    })
    const ledger = signer === undefined
      ? Ledger.layer
      : Ledger.layerOnDemand.pipe(Layer.provide(Signer.layer({ key: yield* keyOf(signer) })))
    return Layer.mergeAll(ledger, Erasure.layer).pipe(
      Layer.provideMerge(AuditLogger.layer(logging(found.config))),
      Layer.provideMerge(medium)
    )
  }))

/** What lets a log of a store go on: its logs, the engine that records it, and the signer. */
export const resumable = (store: StoreArgs, args: SigningArgs) =>
  Layer.unwrap(
    Effect.map(signed(store, args), ({ found, key, medium }) =>
      Layer.mergeAll(AuditLogger.layer(logging(found.config)), Signer.layer({ key })).pipe(Layer.provideMerge(medium)))
  )

/** Errors of the ledger: exit 1 where the evidence does not hold, 2 where something could not be done. */
export const judged = <A, E, R>(
  effect: Effect.Effect<A, E | AuditError | IntegrityError, R>
): Effect.Effect<A, E | DoesNotHold | Failed, R> =>
  Effect.mapError(effect, (error) =>
    error instanceof IntegrityError
      ? new DoesNotHold({ message: error.message })
      : error instanceof AuditError
      ? toFailed(error)
      : error)

/** Verifier keys: text, or the name of a file after an `@`. */
export const vkeyFlag = Flag.String("vkey").pipe(
  Flag.between(1, 100),
  Flag.withDescription(
    "The verifier key that keygen printed, or a log's own; @FILE reads it from a file. Repeated, or one a line, " +
      "for keys " +
      "that signed one after another"
  )
)

/** The text of a file that someone named. */
export const readText = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.mapError(
      fileSystem.readFileString(file),
      (error) => new Failed({ message: `${file} cannot be read: ${error.reason._tag}` })
    ))

/** Reads verifier keys, and refuses what is not one. */
export const readVkeys = Effect.fnUntraced(function*(given: ReadonlyArray<string>) {
  const texts = yield* Effect.forEach(
    given,
    (text) => text.startsWith("@") ? readText(text.slice(1)) : Effect.succeed(text)
  )
  const keys = texts.flatMap((text) => text.split("\n")).map((line) => line.trim()).filter((line) => line !== "")
  if (keys.length > 0 && keys.every((key) => parseVkey(key) !== undefined)) return keys
  return yield* new UsageError({ message: "--vkey is not an Ed25519 verifier key: name+id+base64, or @FILE" })
})

/** Writes text to standard output as it is. */
export const print = (text: string) =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.make(text).pipe(Stream.run(stdio.stdout({ endOnDone: false }))))

/** An error of the store as a message to the user; where a flag is the way on, it is named. */
export const toFailed = (error: AuditError): Failed => {
  const { reason } = error
  const way = reason._tag === "SignerRefused" && error.method === "SignerState"
    ? " (--state FILE, --new-signer)"
    : reason._tag === "InvalidInput" && reason.path === "/policy"
    ? " (--config FILE, the application's configuration)"
    : ""
  return new Failed({ message: error.message + way })
}

/** Turns errors of a question to the store into messages: what cannot be meant was called wrongly. */
export const asking = <A, E, R>(
  effect: Effect.Effect<A, E | AuditError, R>
): Effect.Effect<A, E | Failed | UsageError, R> =>
  Effect.mapError(effect, (error) =>
    !(error instanceof AuditError)
      ? error
      : error.reason._tag === "InvalidCursor" || error.reason._tag === "InvalidInput"
      ? new UsageError({ message: error.message })
      : toFailed(error))

/** Turns errors of the store into messages. */
export const failing = <A, E, R>(effect: Effect.Effect<A, E | AuditError, R>): Effect.Effect<A, E | Failed, R> =>
  Effect.mapError(effect, (error) => error instanceof AuditError ? toFailed(error) : error)
